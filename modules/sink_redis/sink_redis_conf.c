/* sink_redis_conf.c - the directives, and which of them go together. */
#include "sink_redis.h"

static const struct weir_name command_names[] = {
    { "hash", COMMAND_HASH },       { "json", COMMAND_JSON },
    { "string", COMMAND_STRING },   { "stream", COMMAND_STREAM },
    { "publish", COMMAND_PUBLISH }, { NULL, 0 },
};
static const struct weir_name truncate_names[] = {
    { "scan", TRUNCATE_SCAN }, { "ignore", TRUNCATE_IGNORE }, { NULL, 0 }
};
static const struct weir_name tls_names[] = {
    { "off", TLS_OFF }, { "on", TLS_ON }, { "verify", TLS_VERIFY }, { NULL, 0 }
};

/* clang-format off */
#define T struct redis_conf
const struct weir_directive redis_directives[] = {
    WEIR_STR(T, host, .value = "127.0.0.1", .help = "name or address"),
    WEIR_INT(T, port, .value = "6379", .min = 1, .max = 65535,
             .help = "TCP port"),
    WEIR_STR(T, socket, .help = "path of a unix socket, instead of host and "
             "port"),
    WEIR_STR(T, user, .flags = WEIR_ENV,
             .help = "ACL user; without it the password is the default user's"),
    WEIR_STR(T, password, .flags = WEIR_SECRET | WEIR_ENV,
             .help = "password; better in a file"),
    WEIR_STR(T, password_file, .flags = WEIR_FILE,
             .help = "file of one line, read at each connect"),
    WEIR_CHOICE(T, tls, .value = "off", .names = tls_names,
                .help = "off, on (encrypted, nobody verified) or verify"),
    WEIR_STR(T, tls_ca, .flags = WEIR_FILE,
             .help = "a file with the certificates that tls = verify trusts; "
                     "none: the system's"),
    WEIR_STR(T, tls_cert, .flags = WEIR_FILE,
             .help = "a file with our own certificate, if Redis wants it"),
    WEIR_STR(T, tls_key, .flags = WEIR_FILE, .help = "a file with its key"),
    WEIR_INT(T, db, .value = "0", .max = 1000000,
             .help = "number of the database"),
    WEIR_CHOICE(T, command, .value = "hash", .names = command_names,
                .help = "what is made of a row: hash, json (its JSON as a "
                "string), string (one column); of an event: stream, publish"),
    WEIR_TEMPLATE(T, key, .flags = WEIR_REQUIRED | WEIR_ORDER,
                  .help = "key of a row, as in \"user:{id}\"; of the stream, "
                  "or the channel"),
    WEIR_STR(T, column, .help = "string: the column that is its value"),
    WEIR_FORMAT(T, document, .value = "row",
                .help = "json: how a row is written"),
    WEIR_FORMAT(T, format, .value = "weir",
                .help = "stream, publish: how an event is written"),
    WEIR_STR(T, null, .help = "hash, string: what NULL is written as; not "
             "given: the field, or the string, is removed"),
    WEIR_MSEC(T, ttl, .value = "0ms", .max = 3153600000000,
              .help = "hash, json, string: a key expires so long after its "
              "last change; 0: never"),
    WEIR_INT(T, max_len, .value = "0", .max = INT64_MAX,
             .help = "stream: about so many events are kept; 0: all"),
    WEIR_MSEC(T, ids, .value = "0ms", .max = 3153600000000,
              .help = "stream, publish: for so long no event is written twice, "
              "not even after a rewind; 0: by the checkpoint alone"),
    WEIR_CHOICE(T, truncate, .value = "scan", .names = truncate_names,
                .help = "TRUNCATE: scan removes all keys that key can make"),
    WEIR_MSEC(T, timeout, .value = "5s", .min = 1, .max = 3600000,
              .help = "without an answer, the connection is given up"),
    WEIR_STR(T, checkpoint, .value = "weir:checkpoint:",
             .help = "what the checkpoint's key begins with"),
    WEIR_END
};
#undef T
/* clang-format on */

static enum weir_status
check_tls(const struct redis_conf *c, struct weir_err *err)
{
    if (c->tls == TLS_OFF && (c->tls_ca || c->tls_cert || c->tls_key)) {
        return weir_fail(err, WEIR_FATAL, "%s has no meaning with tls = off",
                         c->tls_ca     ? "tls_ca"
                         : c->tls_cert ? "tls_cert"
                                       : "tls_key");
    }
    if (c->tls == TLS_ON && c->tls_ca) {
        return weir_fail(err, WEIR_FATAL,
                         "tls = on verifies nobody, so that tls_ca has no "
                         "meaning: set tls = verify");
    }
    if (!c->tls_cert != !c->tls_key) {
        return weir_fail(err, WEIR_FATAL,
                         "tls_cert and tls_key: one of them is missing");
    }
    if (c->tls != TLS_OFF && c->socket) {
        return weir_fail(err, WEIR_FATAL,
                         "tls is for TCP: the unix socket leaves this machine "
                         "by no wire");
    }
    return WEIR_OK;
}

static enum weir_status
check_login(const struct redis_conf *c, struct weir_err *err)
{
    if (c->password && c->password_file) {
        return weir_fail(err, WEIR_FATAL,
                         "password and password_file: give only one of them");
    }
    if (c->user && !c->password && !c->password_file) {
        return weir_fail(err, WEIR_FATAL,
                         "user: \"%s\" needs a password or a password_file",
                         c->user);
    }
    return check_tls(c, err);
}

/* What is given for another command than the one at work is a mistake. */
static enum weir_status
check_command(const struct redis_conf *c, struct weir_err *err)
{
    const bool is_hash = c->command == COMMAND_HASH;
    const bool is_string = c->command == COMMAND_STRING;
    const struct {
        const char *name;
        bool        given, fits;
        const char *where;
    } rules[] = {
        { "column", c->column, is_string, "string" },
        { "null", c->null, is_hash || is_string, "hash and string" },
        { "ttl", c->ttl > 0, !appends(c), "hash, json and string" },
        { "max_len", c->max_len > 0, c->command == COMMAND_STREAM, "stream" },
        { "ids", c->ids > 0, appends(c), "stream and publish" },
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].given && !rules[i].fits) {
            return weir_fail(err, WEIR_FATAL, "%s is for command = %s",
                             rules[i].name, rules[i].where);
        }
    }
    if (is_string && !c->column) {
        return weir_fail(err, WEIR_FATAL,
                         "command = string needs the column that is its "
                         "value, as in column = \"email\"");
    }
    return WEIR_OK;
}

static enum weir_status
check_key(const struct redis_conf *c, struct weir_err *err)
{
    char         glob[1];
    size_t       literal = 0;
    const size_t len =
        weir_template_glob(c->key, NULL, glob, sizeof glob, &literal);

    if (c->checkpoint[0] == '\0') {
        return weir_fail(err, WEIR_FATAL,
                         "checkpoint: may not be empty, or it could be taken "
                         "for a row's key");
    }
    if (appends(c)) {
        return WEIR_OK;
    }
    if (literal == len) {
        return weir_fail(err, WEIR_FATAL,
                         "key: names no column, so every row of a table would "
                         "be written to one key; say which, as in "
                         "\"user:{id}\"");
    }
    if (literal == 0 && c->truncate == TRUNCATE_SCAN) {
        return weir_fail(err, WEIR_FATAL,
                         "key: begins with a column, so TRUNCATE of a table "
                         "would remove every %s of the database; begin it "
                         "with text, as in \"{table}:...\", or say "
                         "truncate = ignore",
                         c->command == COMMAND_HASH ? "hash" : "string");
    }
    return WEIR_OK;
}

enum weir_status
redis_check(const void *conf, struct weir_err *err)
{
    const struct redis_conf *c = conf;

    enum weir_status st = check_login(c, err);
    if (st == WEIR_OK) {
        st = check_command(c, err);
    }
    return st == WEIR_OK ? check_key(c, err) : st;
}
