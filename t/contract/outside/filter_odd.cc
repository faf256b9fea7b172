// filter_odd.cc - a filter in C++20: rows whose first integer column is odd.
// Built outside of Weir's tree, against what was installed.
#include <weir/module.h>

#include <memory>
#include <new>
#include <string_view>

namespace {

struct Conf {
    bool invert;
};

const weir_directive directives[] = {
    WEIR_BOOL(Conf, invert, .value = "off", .help = "even ones instead"),
    WEIR_END
};

struct Odd {
    weir_instance *in;
    const Conf    &conf;

    bool passes(const weir_value &v) const
    {
        const bool odd = v.type == WEIR_INT ? v.i % 2 != 0
                         : v.type == WEIR_UINT ? v.u % 2 != 0
                                               : false;
        return odd != conf.invert;
    }
};

weir_status open_odd(weir_instance *in, const void *conf, void **self,
                     weir_err *err)
{
    auto odd = std::unique_ptr<Odd>(
        new (std::nothrow) Odd{ in, *static_cast<const Conf *>(conf) });
    if (!odd) {
        return weir_fail(err, WEIR_RETRY, "no memory");
    }
    *self = odd.release();
    return WEIR_OK;
}

void close_odd(void *self)
{
    delete static_cast<Odd *>(self);
}

weir_status table_odd(void *self, const weir_table *table, void **slot,
                      weir_err *)
{
    for (uint32_t i = 0; i < table->ncolumns; i++) {
        const auto type = table->columns[i]->type;
        if (type == WEIR_INT || type == WEIR_UINT) {
            weir_use(static_cast<Odd *>(self)->in, i);
            *slot = reinterpret_cast<void *>(static_cast<uintptr_t>(i));
            return WEIR_OK;
        }
    }
    return WEIR_DROP;
}

weir_status filter_odd(void *self, void *slot, const weir_event *ev,
                       weir_err *)
{
    const auto  column = reinterpret_cast<uintptr_t>(slot);
    const auto *row = ev->after ? ev->after : ev->before;

    return static_cast<Odd *>(self)->passes(row[column]) ? WEIR_OK : WEIR_DROP;
}

} // namespace

WEIR_MODULE = {
    WEIR_HEAD,
    .stage = WEIR_FILTER,
    .name = "odd",
    .version = "1.0",
    .summary = "rows whose first integer is odd",
    .conf_size = sizeof(Conf),
    .directives = directives,
    .open = open_odd,
    .close = close_odd,
    .table = table_odd,
    .filter = filter_odd,
};
