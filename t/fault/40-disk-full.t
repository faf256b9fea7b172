# A disk that is full, for the relay, the state directory, a side log, the log
# and a sink's files: what is concerned says which disk it is and what to do, the
# rest runs on, and all goes on by itself when there is room.
use Weir;
use Weir::Disk;
use Weir::Shop;

own_mounts();
my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(4000))',
    'CREATE TABLE shop.bad (i INT PRIMARY KEY, k INT)');
my ($source, $port) = (shop_source($db), $redis->port);
my %sinks = (
    cache => qq(tables = {"shop.t"}  redis { port = $port  key = "t:{i}" }),
    lines => qq(tables = {"shop.t"}  file { root = "$dir/files"  path = "t.jsonl"  format = row }),
    dead  => qq(tables = {"shop.bad"}  on_reject = dead_letter
        redis { port = $port  key = "bad:{i}" }),
);

sub config
{
    my $sinks = join '', map {"    sink $_ { $sinks{$_} }\n"} sort keys %sinks;
    return "pipeline shop {\n    $source\n    relay { size = 64m  segment = 1m }\n$sinks}\n";
}
my $weir = $t->weir(globals => 'log_level = debug');
my $state_disk = Weir::Disk->new($weir->state, 2048);
my $relay_disk = Weir::Disk->new($weir->state . '/shop/relay', 8192);
my $files_disk = Weir::Disk->new("$dir/files", 16384);
my $log_disk   = Weir::Disk->new("$dir/log", 1024);
$weir->{log} = "$dir/log/weir.log";
$weir->write_config(config());
$t->expect_log(qr/No space left/, qr/the last line \d+ more/, qr/signal 9/);
$weir->start;

my ($n, $bad) = (0, 0);

sub insert
{
    my ($rows, $bytes) = @_;
    my $from = $n + 1;
    $n += $rows;
    $db->do("INSERT INTO shop.t SELECT seq, REPEAT('x', $bytes) FROM shop.seq_${from}_to_$n");
    return;
}

sub in_file
{
    return map { /^\{"i":(\d+),/ ? $1 : "?$_" } Weir::Server::lines_of("$dir/files/t.jsonl");
}

sub all_there
{
    my ($what) = @_;
    eval { wait_for($what, 20, sub { my @have = in_file(); @have >= $n }) };
    is(join(' ', in_file()), join(' ', 1 .. $n), "$what: each row once, in order, in the file");
    eval { wait_for($what, 20, sub { @{ $redis->ask('KEYS', 't:*') } == $n }) };
    is(scalar @{ $redis->ask('KEYS', 't:*') }, $n, "$what: all rows in Redis");
    return;
}

# Who is in that state, for that reason, in one look.
sub stands
{
    my ($who, $state, $why, $what) = @_;
    my $found;
    eval {
        wait_for($what, 20, sub {
            $found = $weir->status->{$who};
            $found->{state} eq $state && $found->{reason} =~ $why;
        });
    };
    is($found->{state}, $state, $what);
    like($found->{reason}, $why, "$what: why, and what to do");
    return;
}
insert(5, 10);
all_there('before');

# ---- The relay's
$relay_disk->fill;
insert(100, 3000);
stands('source', 'diskfull', qr{write \S+/shop/relay/\S+: No space left on device.*room}, 'the relay');
my ($exit, $said) = $weir->ctl('status');
is($exit, 1, 'weirctl status: something does not run');
is($weir->status->{cache}{state}, 'running', 'sinks run on');
$relay_disk->make_room(64);
insert(1, 10);
$relay_disk->make_room;
all_there('relay');
$weir->wait_state('source', 'running');
is($weir->status->{source}{reason}, '', 'and nothing to complain of');

# ---- The state directory's: what is there goes on, what has to be made waits
my $dead = $weir->worker_pid('sink shop/dead');
$state_disk->fill;
insert(20, 100);
all_there('state');
$redis->ask('SET', 'bad:2', 'in the way');
$db->do('INSERT INTO shop.bad VALUES (1, 1), (2, 1), (3, 1)');
stands('dead', 'diskfull', qr{side log \S+/dead.*No space left on device.*room}, 'a side log');
is($weir->worker_pid('sink shop/dead'), $dead, 'its worker did not die of it');
$sinks{more} = 'null { }';
($exit, $said) = $weir->reload(config());
isnt($exit, 0, 'a reload that needs room is refused');
like($said, qr/No space left on device.*room/, 'and says why') or diag $said;
delete $sinks{more};
$weir->write_config(config());
$weir->crash_worker('sink shop/cache');
insert(20, 100);
all_there('state, a worker killed');
$weir->crash;
$weir->start;
insert(20, 100);
all_there('state, all killed');
$weir->wait_state('dead', 'diskfull');
$db->do("XA START 'x'", 'INSERT INTO shop.t VALUES (' . ++$n . ", 'xa')", "XA END 'x'",
    "XA PREPARE 'x'", "XA COMMIT 'x'");
stands('source', 'diskfull', qr{xa\.prepared.*room on this machine}, 'a prepared XA transaction');
$state_disk->make_room;
insert(5, 100);
all_there('state, room again');
$weir->wait_state($_, 'running') for qw(source dead cache lines);
wait_for('the row behind the letter', 20, sub { $redis->ask('EXISTS', 'bad:3') });
wait_for('the dead letter', 20, sub { ($weir->ctl('dead', 'list', '--json'))[1] =~ /"id"/ });
my $letters = () = ($weir->ctl('dead', 'list', '--json'))[1] =~ /"id":/g;
is($letters, 1, 'one dead letter');

# ---- The log's
$log_disk->fill($weir->{log});
$weir->ctl('pause', 'shop/cache', 'for a test');
$weir->wait_state('cache', 'paused');
$weir->ctl('resume', 'shop/cache');
$weir->wait_state('cache', 'running');
insert(20, 100);
all_there('log');
wait_for('status says so', 20, sub {
    $weir->status_text =~ /the log can't be written, and it goes on without: No space left on device: make room/ });
like(($weir->ctl('status', '--json'))[1], qr/"log_trouble":"the log can't/, 'in JSON, too');
my $mark = $weir->log_mark;
$log_disk->make_room;
like($weir->wait_log(qr/shop\/cache: \d+ lines? of this process could not be written here/, from => $mark - 1),
    qr/: No space left/, 'what is missing is said where there is room');
wait_for('status forgets it', 20, sub { $weir->status_text !~ /log can't be written/ });

# ---- A sink's
$files_disk->fill;
insert(200, 1000);
stands('lines', 'waiting', qr/No space left on device/, "a sink's files");
is($weir->status->{cache}{state}, 'running', 'the other runs on');
$files_disk->make_room;
all_there('files');
$weir->wait_state('lines', 'running');
$t->done;
