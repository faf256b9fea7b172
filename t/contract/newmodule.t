# weir-newmodule: what it begins for each stage builds without a warning, keeps
# the contract, is loaded, and does its work in a running server.
use Weir;

my $t      = Weir->new;
my $weir   = $t->weir;
my $prefix = $t->{prefix};
my $top    = $t->make_dir('new');
my $binlog = "$ENV{WEIR_SOURCE}/t/data/mariadb1011_alltypes.binlog";
$ENV{PKG_CONFIG_PATH} = "$prefix/lib/pkgconfig";
$ENV{PATH}            = "$prefix/bin:$prefix/sbin:$ENV{PATH}";

sub run
{
    my ($command) = @_;
    my $said = qx(cd $top && ( $command ) 2>&1);
    return ($? >> 8, $said);
}

for my $stage (qw(sink filter transform source)) {
    my $name = "${stage}_try1";
    my $dir  = "$top/$name";
    my ($status, $said) = run("weir-newmodule $stage try1");
    is($status, 0, "$stage: begun") or diag $said;
    system('cp', $binlog, "$dir/binlog.000001") == 0 or die;
    ($status, $said) = run("make -C $name CFLAGS='-O2 -Wall -Wextra -Werror'");
    is($status, 0, "$stage: builds without a warning") or diag $said;
    ($status, $said) = run("make -C $name check");
    is($status, 0, "$stage: keeps the contract") or diag $said;
    unlike($said, qr/^not ok/m, "$stage: no point failed");
    ($status, $said) =
        run("weir -p $dir -c weir.conf -g 'daemon = off' -t");
    is($status, 0, "$stage: weir.conf is fine") or diag $said;
    ($status, $said) = run("weir -h $dir/$name.so");
    like($said, qr/^${stage}_try1 0\.1\.0: /, "$stage: weir -h");
    ($status, $said) = run("make -C $name install DESTDIR=$top/stage");
    ok(-f "$top/stage$prefix/lib/weir/modules/$name.so", "$stage: installed")
        or diag $said;
    like(Weir::read_file("$dir/README.md"), qr/^# ${stage}_try1/,
        "$stage: a README");
    unlike(join('', map { Weir::read_file($_) } glob "$dir/*.[cm]* $dir/Makefile"),
        qr/skel|\@[A-Z]+\@/, "$stage: nothing is left of the template");
}

# All four at work in one server.
$weir->write_raw_config(<<"EOT");
state = "$weir->{dir}/state"
pid = "$weir->{dir}/weir.pid"
log = "$weir->{log}"
load_module("$top/source_try1/source_try1.so")
load_module("$top/filter_try1/filter_try1.so")
load_module("$top/transform_try1/transform_try1.so")
load_module("$top/sink_try1/sink_try1.so")
pipeline p {
    source { try1 { path = "$binlog" } }
    filter f { try1 { column = "c_varchar"  text = "nobody" } }
    transform x { try1 { column = "*" } }
    sink s { try1 { path = "$top/out.jsonl"  format = row } }
}
EOT
$weir->start;
my $lines = wait_for('rows', 20, sub {
    my $text = Weir::read_file("$top/out.jsonl") // '';
    return $text =~ /\n\z/ ? $text : undef;
});
like($lines, qr/^\{.*"\*+".*\}$/m, 'rows, with stars in place of text');
$weir->stop;

# ---- What it refuses
for ([ 'sink Upper', qr/can't be a module's name/ ],
    [ 'sink try1', qr/is there already/ ], [ 'sink filter', qr/server's own/ ],
    [ 'stage x', qr/^usage/ ], [ 'sink', qr/^usage/ ], [ '', qr/^usage/ ])
{
    my ($arguments, $want) = @$_;
    my ($status, $said) = run("weir-newmodule $arguments");
    ok($status != 0 && $said =~ $want, "refused: weir-newmodule $arguments")
        or diag $said;
}
my ($status, $said) = run('weir-newmodule --help');
ok($status == 0 && $said =~ /^usage/, 'help');
$t->done;
