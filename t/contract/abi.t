# Modules as third parties build them: in a folder of their own, with nothing
# but what `make install` left.  A sink in C and a filter in C++ run in a real
# server; those of another contract are refused.
use Weir;
use File::Glob ':bsd_glob';

my $t      = Weir->new;
my $source = $ENV{WEIR_SOURCE};
my $dir    = $t->make_dir('outside');
my $weir   = $t->weir;
$ENV{PKG_CONFIG_PATH} = "$t->{prefix}/lib/pkgconfig";
system('cp', glob("$source/t/contract/outside/*"), $dir) == 0 or die;

sub makefile
{
    my (@lines) = @_;
    open my $out, '>', "$dir/Makefile" or die;
    print {$out} map { "$_\n" } @lines,
        'include $(shell pkg-config --variable=modulemk weir)';
    close $out;
    return;
}

# make and cc leave what they say in a file of the test's.
sub quietly
{
    my (@command) = @_;
    my $said = $weir->capture('sh', '-c', "cd $dir && exec 2>&1; " . join ' ', @command);
    return $? == 0 ? '' : $said || "status $?";
}

like($weir->capture('pkg-config', '--variable=abi', 'weir'), qr/^\d+\.\d+$/,
    'weir.pc says the ABI');
makefile('MODULE = sink_lines', 'CFLAGS = -O2 -Wall -Wextra -Werror');
is(quietly('make'), '', 'a sink in C is built by three lines');
is(quietly("make install DESTDIR=$dir/stage"), '', 'and installed');
ok(-f "$dir/stage$t->{prefix}/lib/weir/modules/sink_lines.so", 'where modules are');
makefile('MODULE = filter_odd', 'SOURCES = filter_odd.cc',
    'CXXFLAGS = -O2 -Wall -Wextra -Wno-missing-field-initializers -Werror');
is(quietly('make'), '', 'a filter in C++20');
is(quietly('make clean && test ! -e filter_odd.so && make'), '', 'also after a clean');

sub config
{
    my (%option) = @_;
    my $filter = $option{filter} // 'odd { invert = off }';
    my $sink   = $option{sink}   // qq(lines { path = "$dir/lines" });
    my $load   = join "\n", map { qq(load_module("$dir/$_.so")) }
        @{ $option{modules} // [ 'filter_odd', 'sink_lines' ] };
    $weir->write_raw_config(<<"EOT");
state = "$weir->{dir}/state"
pid = "$weir->{dir}/weir.pid"
log = "$weir->{log}"
load_module("source_binlog.so")
$load
pipeline p {
    source { binlog { files = {"$source/t/data/mariadb1011_alltypes.binlog"} } }
    filter some { $filter }
    sink rows { $sink }
}
EOT
    return $weir->command('-t');
}

my ($exit, $said) = config();
is($exit, 0, 'both are loaded') or diag $said;
like($said, qr/rows.*at-least-once/, 'and what the sink guarantees is printed');
($exit, $said) = $weir->command('-h', "$dir/sink_lines.so");
is($exit, 0, 'weir -h') or diag $said;
like($said, qr/path.*the file/s, 'shows its directives');

config();
$weir->start;
my $lines = wait_for('rows', 20, sub {
    my $text = Weir::read_file("$dir/lines") // '';
    return $text =~ /\n\z/ ? $text : undef;
});
$weir->stop;
$lines = Weir::read_file("$dir/lines");
like($lines, qr/^0 \w+\.\w+ \w+=/m, 'rows came through both');
my @first = $lines =~ /^\d \S+ \w+=(-?\d+)/mg;
is(scalar(grep { $_ % 2 == 0 } @first), 0, 'the filter let odd ones pass only');
cmp_ok(scalar @first, '>', 0, 'and there are some');

# ---- What is refused
($exit, $said) = config(sink => 'odd { }');
isnt($exit, 0, 'a filter is no sink');
like($said, qr{weir\.conf:\d+: 'odd' is a filter, and this is block 'sink'}, 'says what it is');
($exit, $said) = config(sink => 'lines { path = x  quite = on }');
isnt($exit, 0, 'a directive that is not its own');
like($said, qr{weir\.conf:\d+: .*quite.*quiet}, 'says which was meant');

# Built by hand, as the headers' users may.
sub build_other
{
    my ($name, $flags) = @_;
    my $cc = $ENV{CC} || 'cc';
    is(quietly("$cc -shared -fPIC $flags -Wno-initializer-overrides",
            '-Wno-override-init $(pkg-config --cflags weir)',
            "sink_lines.c -o $name.so"), '', "$name is built");
    my ($status, $words) = config(modules => [ 'filter_odd', $name ]);
    isnt($status, 0, "$name is refused");
    return $words;
}
like(build_other('major', '-DOTHER_MAJOR=7'),
    qr{module \S+/major\.so is built for ABI 7\.\d+, this weir has \S+: upgrade weir},
    'a newer major');
like(build_other('minor', '-DOTHER_MINOR=99'),
    qr{module \S+/minor\.so is built for ABI \d+\.99, this weir has \S+: upgrade weir},
    'a newer minor');
like(build_other('hidden', '-Dweir_module=other_module'),
    qr{hidden\.so has no weir_module in it: it is a library, but no module},
    'no weir_module');
$t->done;
