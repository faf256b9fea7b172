# Modules that do worse than crash at a row: that die before their first batch,
# leave processes behind, come back from a call twice, end the configuration
# test, or never end.  Each is named, and stays without effect on the others.
use Weir;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $here   = dirname(abs_path($0));
my $t      = Weir->new;
my $dir    = $t->dir;
my $module = $t->make_dir('modules') . '/sink_bad.so';
my $cc     = $ENV{CC} // 'cc';
is(system("$cc -w -shared -fPIC -pthread -I$t->{prefix}/include"
            . " $here/../contract/bad/sink_bad.c -o $module"), 0, 'build sink_bad');

my %more = (
    drips => 'memory = 64m  events = 1',
    hoard => 'memory = 128m',
);

sub config
{
    my (%how) = @_;
    my $sinks = join '', map {
        "    sink $_ { " . ($more{$_} // 'timeout = 500ms') . "  bad { how = $how{$_} } }\n"
    } sort keys %how;
    return <<"EOT";
load_module("$module")
drain_timeout = 1s
pipeline shop {
    source { binlog { files = {"$here/small.binlog"} } }
    relay { size = 16m }
    sink good { file { root = "$dir/out"  path = "{table}.jsonl" } }
$sinks}
EOT
}

# Who sleeps in a sink's worker's group, or was left by one.
sub group_of
{
    my ($pid) = @_;
    return grep { $_ != $pid && (getpgrp($_) // 0) == $pid }
        map { m{/(\d+)$} } glob '/proc/[0-9]*';
}

$t->make_dir('out');
$t->expect_log(qr/sink shop\/(?:born|stray|close|kept|done|drips|hoard)\b/, qr/forked a process that came back/,
    qr/called weir_batch_done/, qr/ the last line \d+ more time/);
my %how = (
    born  => 'open_crashes',
    stray => 'forks_and_crashes',
    twice => 'forks_back',
    kept  => 'leak_process',
    close => 'close_hangs',
    done  => 'done_twice  pending = on',
    drips => 'leak_much',
    hoard => 'hoards',
);
my $weir = $t->weir(config => config(%how));
$weir->launch;

# ---- Before its first batch
my $line = $weir->wait_log(qr/sink shop\/born .*starts again/, seconds => 30);
like($line, qr/\(bad 6\.6\.6\) died of signal 11 .* before its first batch/,
    'a module that dies in open() is named');

# ---- Processes
like($weir->wait_log(qr/came back from write\(\)/, seconds => 30),
    qr/shop\/twice: module bad 6\.6\.6 forked/,
    'a fork that comes back is ended, and named');
$weir->wait_state('twice', 'running');
# A copy has the same title: the worker is who leads the group.
my $leader = sub { getpgrp($weir->worker_pid('sink shop/kept') // 0) };
my $kept   = $leader->();
wait_for('a process beside its worker', 20, sub { group_of($kept) });
kill 'KILL', $kept;
wait_for('another worker', 20, sub {
    my $pid = $weir->worker_pid('sink shop/kept') // return;
    return getpgrp($pid) != $kept;
});
wait_for('what it left is gone', 20, sub { !group_of($kept) });
ok(1, 'what a module started ends with its worker');

# ---- Called back twice
like($weir->wait_log(qr/called weir_batch_done\(\)/, seconds => 30),
    qr/shop\/done: module bad 6\.6\.6 called .* that was done/,
    'a second weir_batch_done() is named');
like($weir->wait_log(qr/sink shop\/done .*starts again/, seconds => 30),
    qr/\(bad 6\.6\.6\) died of signal 6/, 'and ends its worker only');

# ---- Memory: what leaks from batch to batch goes on behind them
$line = $weir->wait_log(qr/sink shop\/drips .*starts again/, seconds => 30);
like($line, qr/\(bad 6\.6\.6\) took \d+ MiB of memory, more than its memory = 64m, and was killed/,
    'a leak is named');
wait_for('it went on behind them', 60, sub {
    my $drips = $weir->status->{drips};
    $drips->{state} eq 'running' && $drips->{line} =~ / [1-9]\d* +3-77-\d+ /;
});

# ---- Quarantined
for my $name (qw(born stray hoard)) {
    $weir->wait_state($name, 'stopped', 90);
    like($weir->status->{$name}{reason}, qr/bad 6\.6\.6.* 5 times .*not started again/,
        "$name rests after five times");
}
my $status = $weir->status;
is($status->{good}{state}, 'running', 'the good one never noticed');
like($status->{good}{line}, qr/ +0 +0 +\S*small|3-77/, 'nor was started again');

# ---- The configuration test
my $good = $weir->worker_pid('sink shop/good');
my %test = (
    check_exits   => qr/ended the test by exit\(\)/,
    check_crashes => qr/died of signal 11 .*a module/,
);
for my $how (sort keys %test) {
    my ($exit, $said) = $weir->reload(config(%how, more => $how));
    isnt($exit, 0, "$how: refused at a reload");
    like($said, $test{$how}, 'and said') or diag $said;
}
my ($exit, $said) = $weir->command('-t');
isnt($exit, 0, '-t fails where a module dies in it');
is($weir->worker_pid('sink shop/good'), $good, 'what runs goes on');

# ---- The end
my $mark = $weir->log_mark;
$weir->command('-s', 'quit');
$line = $weir->wait_log(qr/sink shop\/close .*did not end in time/, from => $mark);
like($line, qr/\(bad 6\.6\.6\) did not end in time.*killed/,
    'a module that never closes is named when its time is over');
$t->done;
