# No descriptor is left: of the source worker for a new segment, of sink workers
# for a connection and for files, of the master for those who ask.  Each says it
# in one sentence and tries again without haste; nothing is lost or repeated.
use Weir;
use Weir::Shop;
use Time::HiRes qw(time sleep);

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
Weir::find_program('prlimit') or do {
    $t->close_all;
    plan(skip_all => 'prlimit (util-linux) is not here');
};
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(4000))');
my ($source, $port) = (shop_source($db), $redis->port);
$t->make_dir('files');

my $config = <<"EOT";
pipeline shop {
    $source
    relay { size = 64m  segment = 256k }
    sink cache { redis { port = $port  key = "t:{i}" } }
    sink lines { file { root = "$dir/files"  path = "{i}.jsonl"  format = row } }
}
EOT
$t->expect_log(qr/Too many open files/, qr/No file descriptors/, qr/the last line \d+ more/,
    qr/signal 9/);
my $weir = $t->weir(config => $config)->start;
my $n = 0;

sub insert
{
    my ($rows, $bytes) = @_;
    my $from = $n + 1;
    $n += $rows;
    $db->do("INSERT INTO shop.t SELECT seq, REPEAT('x', $bytes) FROM shop.seq_${from}_to_$n");
    return;
}

sub all_there
{
    my ($what) = @_;
    my $files = sub { return grep { -s } glob "$dir/files/*.jsonl" };
    eval { wait_for($what, 30, sub { my @have = $files->(); @have == $n }) };
    my @lines = map { Weir::Server::lines_of($_) } $files->();
    is(scalar @lines, $n, "$what: each row once, in a file of its own");
    eval { wait_for($what, 30, sub { $redis->ask('DBSIZE') >= $n }) };
    is(scalar @{ $redis->ask('KEYS', 't:*') }, $n, "$what: all rows in Redis");
    return;
}

# As few as it has now; or as many as it wants.
sub limit
{
    my ($pid, $on) = @_;
    my %open = map { m{/(\d+)$} ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
    my $least = 0;
    $least++ while $open{$least};
    my $limit = $on ? $least : 1024;
    system('prlimit', '--pid', $pid, "--nofile=$limit:") == 0 or die "prlimit: failed\n";
    return;
}

sub ticks
{
    my ($pid) = @_;
    my ($utime, $stime) = (Weir::read_file("/proc/$pid/stat") =~ /^.*\)(.*)/s
            ? (split ' ', $1)[11, 12] : (0, 0));
    return $utime + $stime;
}

# Its share of one processor over a second.
sub idles
{
    my ($pid, $what) = @_;
    my ($before, $begin) = (ticks($pid), time);
    sleep 1;
    my $share = (ticks($pid) - $before) / POSIX::sysconf(POSIX::_SC_CLK_TCK()) / (time - $begin);
    cmp_ok($share, '<', 0.2 * $Weir::Slow, "$what: does not spin");
    return;
}

sub stands
{
    my ($who, $why, $what) = @_;
    my $found = {};
    eval {
        wait_for($what, 20, sub {
            $found = $weir->status->{$who};
            $found->{state} eq 'waiting' && $found->{reason} =~ $why;
        });
    };
    is($found->{state}, 'waiting', "$what: waits");
    like($found->{reason}, $why, "$what: says why");
    return;
}
insert(5, 10);
all_there('before');

# ---- The source worker's: a segment
my $pid = $weir->worker_pid('source shop');
limit($pid, 1);
insert(100, 4000);
stands('source', qr/open \S+: Too many open files: raise the limit/, 'source');
idles($pid, 'source');
limit($pid, 0);
insert(1, 10);
all_there('source');
is($weir->worker_pid('source shop'), $pid, 'source: the same process');

# ---- Sinks': a connection, files, segments to read
my $cache = $weir->worker_pid('sink shop/cache');
my $lines = $weir->worker_pid('sink shop/lines');
$redis->stop;
limit($_, 1) for $cache, $lines;
insert(200, 4000);
stands('lines', qr/Too many open files|No file descriptors/, 'files');
stands('cache', qr/redis|Too many open files/, 'redis');
$redis->start;
idles($cache, 'redis');
idles($lines, 'files');
stands('cache', qr/Too many open files/, 'redis, there again');
limit($_, 0) for $cache, $lines;
all_there('sinks');
is($weir->worker_pid('sink shop/cache'), $cache, 'redis: the same process');
is($weir->worker_pid('sink shop/lines'), $lines, 'files: the same process');

# ---- The master's: who asks, a worker's start, a reload
my $master = $weir->worker_pid("master @{[ $weir->conf ]}");
limit($master, 1);
my $asks = fork // die;
if (!$asks) {
    open STDOUT, '>', '/dev/null';
    exec "$ENV{WEIR_PREFIX}/sbin/weirctl", '-d', $weir->state, 'pause', 'shop/cache';
}
idles($master, 'master');
kill 'KILL', $weir->worker_pid('sink shop/lines');
insert(50, 100);
wait_for('lines comes back', 20, sub { ($weir->worker_pid('sink shop/lines') // $lines) != $lines });
limit($_, 0) for $master, $weir->worker_pid('sink shop/lines');
waitpid $asks, 0;
$weir->ctl('resume', 'shop/cache');
$weir->wait_state($_, 'running') for qw(cache lines);
all_there('master');
is($weir->worker_pid("master @{[ $weir->conf ]}"), $master, 'the same master');
$weir->stop;

# ---- From the start
my $program = $weir->program;
for my $limit (6, 10, 14) {
    my $said = $weir->capture('sh', '-c',
        "ulimit -n $limit; exec '$program' -c '@{[ $weir->conf ]}' -t");
    my $status = $? >> 8;
    ok($status == 0 || $said =~ /Too many open files/, "-t with $limit: says why not") or diag "$status $said";
}
$t->done;
