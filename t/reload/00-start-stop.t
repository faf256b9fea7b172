# Start, stop, status and signals of the server, with files as its source: no
# database.
use Weir;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Time::HiRes qw(time);

my $here = dirname(abs_path($0));
my $t    = Weir->new;
my $dir  = $t->dir;
$t->make_dir('out');

my $config = <<"EOT";
pipeline shop {
    source { binlog { files = {"$here/small.binlog"} } }
    relay { size = 16m }
    sink nothing { null { } }
    sink lines { file { root = "$dir/out"  path = "{database}.{table}.jsonl" } }
}
EOT
my $weir = $t->weir(config => $config);

# ---- Nothing runs yet

my ($exit, $said) = $weir->command('-s', 'status');
is($exit, 2, 'status, not running: 2');
like($said, qr/no weir runs in/, 'and says so');
($exit) = $weir->command('-s', 'stop');
is($exit, 2, 'stop, not running: 2');

# ---- In the background

my $start = sub { return $weir->command('-g', 'daemon = on') };
($exit, $said) = $start->();
is($exit, 0, 'start in the background') or diag $said;
my $pid = Weir::read_file($weir->dir . '/weir.pid') + 0;
ok($pid > 1 && kill(0, $pid), 'the pid file names it');
is_deeply(
    [ sort keys %{ $weir->workers } ],
    [   'weir: master ' . $weir->conf, 'weir: sink shop/lines',
        'weir: sink shop/nothing', 'weir: source shop'
    ],
    'who runs when the command returns, by their titles'
);
like(Weir::read_file($weir->state . '/running.conf'), qr/sink nothing/,
    'running.conf');

wait_for('sinks run', 20, sub {
    my $status = $weir->status;
    return 2 == grep { $status->{$_}{state} eq 'running' } qw(lines nothing);
});
wait_for('rows arrive', 20, sub { -s "$dir/out/p.en.jsonl" });
my $begin = time;
($exit, $said) = $weir->command('-s', 'status');
is($exit, 0, 'status: all is well');
cmp_ok(time - $begin, '<', $Weir::Slow, 'within a second');
like($said, qr/^pipeline shop: relay .* of 16\.0 MiB/m, 'the relay');
like($said, qr/^  source +ended +\d+ .*small\.binlog:\d+/m, 'the source');
like($said, qr/^  lines +running +\d+ +\S+( ms)? +\d+ +0 +0 /m, 'a sink');

# ---- A second one

($exit, $said) = $start->();
is($exit, 1, 'a second start on the same state directory');
like($said, qr/another weir \(pid $pid\) runs in/, 'names the first');
ok(kill(0, $pid), 'which goes on');

# ---- Logs

my $log = $weir->dir . '/weir.log';
rename $log, "$log.1";
($exit) = $weir->command('-s', 'reopen');
is($exit, 0, 'reopen');
$weir->wait_log(qr/log reopened/);
ok(!grep({ /log reopened/ } Weir::Server::lines_of("$log.1")),
    'the new file has it');

# ---- Its workers hold nothing of the master's

for my $who ('source shop', 'sink shop/lines') {
    my @fds = map { readlink($_) // '' } glob '/proc/' . $weir->worker_pid($who) . '/fd/*';
    is(join(' ', grep { m{/lock$|signalfd|\.conf$} } @fds), '',
        "$who: descriptors");
    my @pages = Weir::read_file('/proc/' . $weir->worker_pid($who) . '/maps')
        =~ m{/run/(\S+\.(?:source|sink))$}mg;
    is(scalar @pages, 1, "$who: its own page only");
}

# ---- The master is killed: workers end, and the next start is clean

kill 'KILL', $pid;
($exit, $said) = $start->();
is($exit, 0, 'start after a kill -9') or diag $said;
my $next = Weir::read_file($weir->dir . '/weir.pid') + 0;
isnt($next, $pid, 'another process');
is(scalar(keys %{ $weir->workers }), 4, 'no worker of the old one is left');

($exit, $said) = $weir->command('-s', 'quit');
is($exit, 0, 'quit');
ok(!-e $weir->dir . '/weir.pid', 'the pid file is gone');
is(join(' ', $weir->processes), '', 'and the master');
is(join(' ', glob($weir->state . '/run/*')), '', 'run is empty');

# ---- In the foreground: Ctrl-C

$weir->start;
my $master = $weir->{pid};
kill 'INT', $master;
$weir->wait_log(qr/draining/);
wait_for('the end', 20, sub { $t->ended($master) });
is($t->exit_status($master), 0, 'Ctrl-C: exit status 0');
$weir->wait_log(qr/shop\/lines: drained/);

# ---- The command line

my @wrong = (
    [ [ '-x' ],            qr/-x is no option of weir's/ ],
    [ [ '-s', 'relaod' ],  qr/did you mean "reload"\?/ ],
    [ [ '-g' ],            qr/-g needs a value/ ],
    [ [ 'reload' ],        qr/^weir: reload: options only/ ],
    [ [ '-t', '-s', 'stop' ], qr/one at a time/ ],
);
for my $case (@wrong) {
    my ($arguments, $sentence) = @$case;
    ($exit, $said) = $weir->command(@$arguments);
    is($exit, 64, "weir @$arguments: 64");
    like($said, $sentence, 'and why');
}
($exit, $said) = $weir->command('-V');
is($exit, 0, '-V');
like($said, qr/^weir \d.*^modules: ABI \d+\.\d+.*^built with: .*^libraries: libconfuse \d/ms,
    'says what it is made of');
($exit, $said) = $weir->command('-h', 'sink_file');
like($said, qr/^  path = /m, '-h MODULE');
($exit, $said) = $weir->command('-h', 'nonsense');
is($exit, 1, '-h of a module that is not there');
like($said, qr/there are: .*sink_null\.so/, 'names those that are');

$t->done;
