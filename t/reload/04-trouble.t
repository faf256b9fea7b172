# A sink module that segfaults, aborts, hangs or exits takes down its own worker
# only; the log names module, version and position; after five times at one
# position it rests until a reload.
use Weir;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $here   = dirname(abs_path($0));
my $t      = Weir->new;
my $dir    = $t->dir;
my $module = $t->make_dir('modules') . '/sink_trouble.so';
my $cc     = $ENV{CC} // 'cc';
is(system("$cc -shared -fPIC -Wall -Wextra -I$t->{prefix}/include"
            . " $here/sink_trouble.c -o $module"), 0, 'build sink_trouble');

sub config
{
    my (%how) = @_;
    my $sinks = join '', map {
        "    sink $_ { timeout = 500ms  trouble { table = \"ch\"  $how{$_} } }\n"
    } sort keys %how;
    return <<"EOT";
load_module("$module")
pipeline shop {
    source { binlog { files = {"$here/small.binlog"} } }
    relay { size = 16m }
    sink good { file { root = "$dir/out"  path = "{table}.jsonl" } }
$sinks}
EOT
}
$t->make_dir('out');
$t->expect_log(qr/sink shop\/(?:crash|abort|hang|exit|leave|fatal)\b/,
    qr/ shop\/fatal: /, qr/ the last line \d+ more time/);
my $weir = $t->weir(
    config => config(
        crash => 'how = segfault',
        abort => 'how = abort',
        exit  => 'how = exit  status = 0',
        leave => 'how = exit  status = 9',
        fatal => 'how = fatal',
        hang  => 'how = hang',
    )
);
$weir->launch;

my %how = (
    crash => qr/died of signal 11 \(Segmentation fault\)/,
    abort => qr/died of signal 6 \(Aborted\)/,
    exit  => qr/ended by itself with status 0/,
    leave => qr/ended by itself with status 9/,
    hang  => qr/hung and was ended/,
);
my $position = qr/small\.binlog:\d+ \(3-77-\d+\)/;
for my $name (sort keys %how) {
    my $line = $weir->wait_log(qr/sink shop\/$name .*starts again/, seconds => 60);
    like($line, $how{$name}, "$name: what happened");
    like($line, qr/\(trouble 7\.1\)/, "$name: module and version");
    like($line, $position, "$name: the position");
}
like($weir->wait_log(qr/sink shop\/hang .*hangs/), qr/trouble 7\.1.*$position/,
    'a hang is announced before it is ended');

for my $name (sort keys %how) {
    $weir->wait_state($name, 'stopped', 90);
    my $reason = $weir->status->{$name}{reason};
    like($reason, qr/5 times at .*not started again until a reload/,
        "$name rests after five times");
}
$weir->wait_state('fatal', 'stopped');
like($weir->status->{fatal}{reason}, qr/it has had enough/, 'fatal: its words');
my ($exit, $said) = $weir->command('-s', 'status');
is($exit, 1, 'status: something is not running');

# A reload gives each another try, although nothing has changed.
my $stopped = $weir->worker_pid('sink shop/fatal');
my $mark    = $weir->log_mark;
($exit) = $weir->reload;
is($exit, 0, 'reload');
$weir->wait_worker('sink shop/fatal', $stopped);
$weir->wait_log(qr/ shop\/fatal: .*it has had enough/, from => $mark);
$weir->wait_log(qr/sink shop\/crash .*starts again/, from => $mark);

my $status = $weir->status;
is($status->{good}{state}, 'running', 'the good one never noticed');
like($status->{good}{line}, qr/ +0 +0 +\S*small|3-77/, 'nor was started again');
ok(-s "$dir/out/en.jsonl", 'and wrote what stands behind');

# Mended: all go on, past the row that hurt.
my $good = $weir->worker_pid('sink shop/good');
($exit, $said) = $weir->reload(config(map { $_ => '' } keys %how, 'fatal'));
is($exit, 0, 'reload with all mended') or diag $said;
for my $name (sort keys %how, 'fatal') {
    $weir->wait_state($name, 'running');
}
is($weir->worker_pid('sink shop/good'), $good, 'the good one: the same process');
$t->done;
