# The Redis sink's other commands, and what Redis refuses, by a host that
# calls the module and a real Redis.
use Weir;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;
use IO::Socket::INET;
use POSIX ();

my $t = Weir->new;
plan(skip_all => 'the module is not built: no hiredis or no OpenSSL')
    if !-e Sinkhost::module_path('sink_redis');
my $redis = $t->redis(durable => 1);
my $dir   = $t->make_dir('state');
my $users = 'table shop users id id:int name:text bio:bytes';
my $checkpoint = 'weir:checkpoint:shop/test';

sub host
{
    my (%directive) = @_;
    return Sinkhost->new('sink_redis', $dir, port => $redis->port,
        key => 'user:{id}', %directive);
}

sub opened
{
    my $h = host(@_);
    is($h->run('check', 'open', $users, 'restore all'), 'OK', 'opened');
    return $h;
}

sub keys_like { return join ' ', sort @{ $redis->ask('KEYS', $_[0]) } }
sub fresh     { $redis->ask('FLUSHALL'); return }

# The bodies in a stream.
sub events
{
    my ($key) = @_;
    return [ map { $_->[1][1] } @{ $redis->ask('XRANGE', $key, '-', '+') } ];
}

# ---- NULL and ttl of hashes
my $h = opened(null => '');
is($h->run('insert 1 NULL x', 'update 1 - x > 1 - NULL', 'write 1 0 a'), 'OK', 'null = ""');
is_deeply($redis->hash('user:1'), { id => 1, name => '', bio => '' }, 'NULL is empty');
$h->end;
$h = opened(null => '(none)', ttl => '100s');
is($h->run('insert 2 NULL NULL', 'insert 3 a b', 'write 1 0 b'), 'OK', 'null = text, and a ttl');
is_deeply($redis->hash('user:2'), { id => 2, name => '(none)', bio => '(none)' }, 'NULL is that');
cmp_ok($redis->ask('PTTL', 'user:2'), '>', 90_000, 'the hash expires');
is($redis->ask('PTTL', $checkpoint), -1, 'the checkpoint does not');
$redis->ask('DEL', 'user:3');
is($h->run('update 3 a b > 3 - c', 'write 1 0 c'), 'OK', 'a change of one that has expired');
is_deeply($redis->hash('user:3'), { id => 3, name => 'a', bio => 'c' }, 'brings all of it');
is($h->run('update 3 - - > - - d', 'write 1 0 d'), 'OK', 'a row image that is not whole');
like($h->lines, qr/^verdict 0 REJECT: .*(?:binlog_row_image=FULL|not in the row image)/m,
    'is refused then');
$h->end;

# ---- json
fresh();
$h = opened(command => 'json', ttl => '100s');
is($h->run('insert 1 A%22da NULL', 'insert 2 b b', 'insert 3 c c', 'delete 2 b b',
        'update 3 c c > 4 c c', 'write 1 0 a'), 'OK', 'json');
is($redis->ask('GET', 'user:1'), '{"id":1,"name":"A\"da","bio":null}', 'a string of JSON');
cmp_ok($redis->ask('PTTL', 'user:1'), '>', 90_000, 'that expires');
is(keys_like('user:*'), 'user:1 user:4', 'deleted, moved');
is($h->run('update 4 c c > 4 - d', 'write 1 0 b'), 'OK', 'a part of a row');
like($h->lines, qr/^verdict 0 REJECT: a change of a row .*binlog_row_image=FULL/m, 'is refused');
$redis->ask('HSET', 'user:9', 'a', 1);
is($h->run('insert 5 @300000 x', 'write 1 0 c'), 'OK', 'a large one');
is($redis->ask('STRLEN', 'user:5'), 300000 + length '{"id":5,"name":"","bio":"eA=="}', 'is there');
is($h->run('truncate', 'write 1 0 d'), 'OK', 'TRUNCATE');
is(keys_like('*'), "user:9 $checkpoint", 'removes strings');
$h->end;

# ---- string
fresh();
is(host(command => 'string')->tell('check'), 'FATAL', 'string without a column is refused');
$h = host(command => 'string', column => 'none');
is($h->run('open', $users), 'REJECT', 'a table without that column too');
like($h->{reason}, qr/^shop\.users has no column none/, 'with its name');
$h->end;
$h = opened(command => 'string', column => 'name', key => 'name:{id}');
is($h->run('insert 1 Ada x', 'insert 2 NULL x', 'insert 3 C x', 'update 3 C x > 3 NULL x',
        'insert 4 D x', 'update 4 D x > 5 - -', 'update 1 Ada x > 1 - y', 'write 1 0 a'),
    'OK', 'string');
is(keys_like('name:*'), 'name:1 name:5', 'NULL removes it');
is(join(',', map { $redis->ask('GET', "name:$_") } 1, 5), 'Ada,D', 'its value is the column');
$h->end;

# ---- What goes with what
for my $wrong ([ command => 'stream', ttl => '1s' ], [ command => 'json', null => 'x' ],
    [ max_len => 5 ], [ column => 'id' ], [ ids => '1h' ], [ tls_ca => '/x' ],
    [ tls => 'on', socket => '/x' ], [ tls => 'verify', tls_cert => '/x' ])
{
    is(host(@$wrong)->tell('check'), 'FATAL', "@$wrong is refused");
}

# ---- stream
fresh();
my @stream = (command => 'stream', key => '{database}.{table}', format => 'row');
$h = opened(@stream);
is($h->run('batching'), 'OK', 'stream');
like($h->lines, qr/^guarantee 3\n.*\nresend 0$/, 'is exactly-once');
is($h->run('insert 1 a x', 'insert 2 b x', 'write 1 0 one'), 'OK', 'events');
is_deeply(events('shop.users'), [ map { qq({"id":$_->[0],"name":"$_->[1]","bio":"eA=="}) }
        [ 1, 'a' ], [ 2, 'b' ] ], 'are in the stream, in order');
is($h->run('restore 0') . $h->found->{0}, 'OK1 one', 'with the checkpoint');
is($h->run('write 1 0 two', 'restore 0') . $h->found->{0}, 'OK1 two', 'an empty batch');
is($h->run('bench 2 50000 3 1'), 'OK', 'many');
is($redis->ask('XLEN', 'shop.bench'), 100_000, 'are there');
$redis->ask('SCRIPT', 'FLUSH');
is($h->run($users, 'insert 3 @400000 x', 'write 1 0 three'), 'OK',
    'a large one, and no script is known any more');
is($redis->ask('XLEN', 'shop.users'), 3, 'is there');
$h->end;
$h = opened(@stream, key => 's:{name}');
$redis->ask('SET', 's:bad', 1);
is($h->run('insert 1 good x', 'insert 2 bad x', 'insert 3 bad x', 'write 1 0 four'), 'REJECT',
    'a key of another type');
like($h->{reason}, qr/key s:bad is no stream, but a string$/, 'is named');
is(join(' ', $h->lines =~ /^verdict (\d+) REJECT/gm), '1 2', 'the events have their verdicts');
is($redis->ask('EXISTS', 's:good'), 0, 'nothing of the batch is written');
is($h->run('insert 1 NULL x', 'insert 2 good x', 'write 1 0 four'), 'REJECT', 'NULL in the key');
is($redis->ask('EXISTS', 's:good'), 0, 'the same');
is($h->run('update 1 old x > 1 new x', 'truncate', 'write 1 0 four'), 'OK', 'a row that moves');
is($redis->ask('XLEN', "s:$_"), 1, "is in $_") for qw(old new);
is($redis->hash($checkpoint)->{data}, 'four', 'with the checkpoint');
$h->end;
$h = opened(@stream, max_len => 100);
is($h->run('bench 20 100 3 1'), 'OK', 'max_len');
cmp_ok($redis->ask('XLEN', 'shop.bench'), '<', 300, 'keeps about so many');
$h->end;
fresh();
$h = opened(@stream);
my $newer = opened(@stream);
is($newer->run('insert 1 a x', 'write 2 0 a'), 'OK', 'a newer owner');
is($h->run('insert 1 a x', 'write 1 0 a'), 'FENCED', 'fences the old one');
is($redis->ask('XLEN', 'shop.users'), 1, 'which writes nothing');
$_->end for $h, $newer;

# Killed, or the connection cut: events and checkpoint agree.
for my $what ('us', 'the connection', 'Redis') {
    fresh();
    $h = opened(@stream);
    print { $h->{in} } "bench 1000000 50 4 1\n";
    wait_for('events', 20, sub { eval { $redis->ask('XLEN', 'shop.bench') } > 2000 });
    if ($what eq 'us') {
        $h->crash;
    }
    else {
        $what eq 'Redis' ? $redis->crash
            : $redis->ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        is($h->answer, 'RETRY', "$what killed");
        $h->crash;
        $redis->start if $what eq 'Redis';
    }
    $h = host(@stream);
    is($h->run('open', 'restore all'), 'OK', "restored after $what was killed");
    my ($batch) = $h->found->{0} =~ /^1 (\d+)$/;
    is($redis->ask('XLEN', 'shop.bench'), 50 * ($batch + 1), 'each event is there once');
    $h->end;
}

# ---- ids: not even a rewind writes twice
fresh();
$h = opened(@stream, ids => '100s');
is($h->run('insert 1 a x', 'insert 2 b x', 'write 1 0 one'), 'OK', 'ids');
is($redis->ask('XLEN', 'shop.users'), 2, 'the first time');
is(keys_like("$checkpoint:id:*"), join(' ', map { sprintf '%s:id:%020da', $checkpoint, $_ } 1, 2),
    'each is noted');
cmp_ok($redis->ask('PTTL', sprintf '%s:id:%020da', $checkpoint, 1), '>', 90_000, 'for that long');
$h->end;
$h = opened(@stream, ids => '100s'); # counts its seqs from 1 again
is($h->run('insert 1 a x', 'insert 2 b x', 'delete 2 b x', 'insert 3 c x', 'write 1 0 two'),
    'OK', 'the same again, and more');
is($redis->ask('XLEN', 'shop.users'), 3, 'only what is new is written');
$h->end;

# ---- publish
my $listener = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $redis->port) or die;
print {$listener} Weir::Redis::command_text('SUBSCRIBE', 'news:shop');
is($redis->reply($listener)->[0], 'subscribe', 'subscribed');
$h = opened(command => 'publish', key => 'news:{database}', format => 'row');
is($h->run('batching'), 'OK', 'publish');
like($h->lines, qr/^guarantee 0\n/, 'is at-most-once');
is($h->run('insert 1 a x', 'insert 2 b x', 'write 1 0 p'), 'OK', 'published');
is($redis->reply($listener)->[2], qq({"id":$_->[0],"name":"$_->[1]","bio":"eA=="}), 'is heard')
    for [ 1, 'a' ], [ 2, 'b' ];
is($redis->hash($checkpoint)->{data}, 'p', 'with the checkpoint');
$h->end;

# ---- Slots: each its own checkpoint
fresh();
$h = opened();
is($h->run('insert 1 a x', 'write 1 0 zero', 'insert 2 b x', 'write 1 3 three'), 'OK', 'two slots');
is($h->run('restore all'), 'OK', 'all slots');
is_deeply($h->found, { 0 => '1 zero', 3 => '1 three' }, 'have theirs');
is($h->run('forget 3', 'restore all'), 'OK', 'one is forgotten');
is_deeply($h->found, { 0 => '1 zero' }, 'and the other is there');
is($h->run('insert 3 c x', 'write 1 0 next'), 'OK', 'and goes on');
$h->end;

# ---- What Redis refuses, of streams too
sub refused
{
    my ($want, $like, $why, $redis_is, @directive) = @_;
    for my $command ([], \@stream) {
        my $one = host(@$command, port => $redis_is->port, @directive);
        my $st = $one->run('open', $users, 'insert 50 a x', 'write 1 0 x');
        is($st, $want, "$why: $want");
        like($one->{reason}, $like, 'with what Redis says');
        $one->end;
    }
    return;
}

fresh();
$redis->ask('CONFIG', 'SET', 'maxmemory', '1');
refused('RETRY', qr/OOM .*; raise its maxmemory/, 'no memory', $redis);
$redis->ask('CONFIG', 'SET', 'maxmemory', '0');
$redis->ask('REPLICAOF', '127.0.0.1', Weir::free_port());
refused('RETRY', qr/READONLY .*; it is a replica/, 'a replica', $redis);
$redis->ask('REPLICAOF', 'NO', 'ONE');
$redis->ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
refused('RETRY', qr/NOREPLICAS .*; see its min-replicas-to-write/, 'too few replicas', $redis);
$redis->ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
$redis->ask('CONFIG', 'SET', 'requirepass', 'secret');
refused('FATAL', qr/NOAUTH .*; give user and password/, 'no password', $redis);
refused('FATAL', qr/WRONGPASS .*; see user, password/, 'a wrong one', $redis, password => 'x');
$redis->ask('CONFIG', 'SET', 'requirepass', '');
$redis->ask('ACL', 'SETUSER', 'weir', 'on', '>secret', '~user:*', '~weir:checkpoint:*', '+@all');
my $limited = host(@stream, user => 'weir', password => 'secret');
is($limited->run('open', $users, 'insert 1 a x', 'write 1 0 x'), 'FATAL', 'a key without right');
like($limited->{reason}, qr/(?:NOPERM|The user executing the script) .*; see the README/, 'says so');
$limited->end;
$redis->ask('ACL', 'SETUSER', 'weir', 'reset', 'on', '>secret', '~shop.*',
    '~weir:checkpoint:*', '-@all', map { "+$_" } qw(multi exec watch unwatch hset hget hmget del
        select eval type xadd set));
$limited = host(@stream, ids => '1s', user => 'weir', password => 'secret');
is($limited->run('open', $users, 'insert 1 a x', 'write 1 0 x'), 'OK',
    'the rights in the README are enough for a stream');
$limited->end;

my $busy = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $redis->port) or die;
$redis->ask('CONFIG', 'SET', 'lua-time-limit', '50');
print {$busy} Weir::Redis::command_text('EVAL', 'while true do end', 0);
wait_for('a busy Redis', 20, sub {
    my ($reply) = $redis->pipeline(['PING']);
    ref $reply && $$reply =~ /^BUSY/;
});
refused('RETRY', qr/BUSY .*; a script keeps it busy/, 'busy', $redis);
$redis->ask('SCRIPT', 'KILL');
$redis->reply($busy);

my $gone   = $t->make_dir('gone');
my $unsaved = $t->redis(args => [ '--dir', $gone ]);
rmdir $gone or die "rmdir $gone: $!";
$unsaved->ask('BGSAVE');
wait_for('a save that fails', 20,
    sub { $unsaved->ask('INFO', 'persistence') =~ /rdb_last_bgsave_status:err/ });
refused('RETRY', qr/MISCONF .*; its own log says why/, 'it can not save', $unsaved);
$_->crash for $unsaved, $redis;

# Its bus has by default the port 10,000 above, which need not be one.
my @bus = map { Weir::free_port() } 1 .. 2;
my ($cluster, $owner) =
    map { $t->redis(args => [ '--cluster-enabled', 'yes', '--cluster-port', $_ ]) } @bus;
$owner->ask('CLUSTER', 'ADDSLOTS', 0 .. 16383);
$cluster->ask('CLUSTER', 'MEET', '127.0.0.1', $owner->port, $bus[1]);
wait_for('a cluster', 30, sub { $cluster->ask('CLUSTER', 'INFO') =~ /cluster_state:ok/ });
refused('FATAL', qr/MOVED .*; Redis Cluster is not supported/, 'a node of a cluster', $cluster);
$_->crash for $cluster, $owner;

my $slow = $t->redis;
$slow->pipeline(map { [ 'SET', "k$_", 'x' x 2000 ] } 1 .. 200);
$slow->ask('SAVE');
$slow->crash;
push @{ $slow->{args} }, '--key-load-delay', '100000', '--loading-process-events-interval-bytes',
    '1024';
$slow->start(qr/LOADING/);
refused('RETRY', qr/LOADING /, 'loading its data', $slow);
$slow->crash;

# ---- What answers a script, and is none of ours
my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
my @nonsense = (
    "*0\r\n", "*1\r\n:1\r\n", "*2\r\n:1\r\n:5\r\n", "*2\r\n:1\r\n*1\r\n:0\r\n",
    "*2\r\n:1\r\n*2\r\n:99\r\n+x\r\n", "*2\r\n:1\r\n*2\r\n:-1\r\n\$1\r\nx\r\n",
    "*2\r\n:1\r\n*2\r\n\$1\r\n0\r\n\$1\r\nx\r\n", "*2\r\n:1\r\n*2\r\n*1\r\n:0\r\n:1\r\n",
    "*2\r\n*1\r\n:1\r\n*0\r\n", "*2\r\n*-1\r\n*-1\r\n", "+OK\r\n", ":1\r\n",
);
for my $answer (@nonsense) {
    my $fake = fork // die;
    if (!$fake) {
        my $peer = $listen->accept;
        # UNWATCH, WATCH, HGET; MULTI, HSET, EVAL, EXEC; WATCH, HGET
        print {$peer} "+OK\r\n+OK\r\n\$-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n${answer}+OK\r\n\$-1\r\n";
        $peer->flush;
        1 while sysread $peer, my $all, 1 << 16;
        POSIX::_exit(0);
    }
    $h = host(@stream, port => $listen->sockport);
    is($h->run('open', $users, 'insert 1 a x', 'write 1 0 x'), 'FATAL',
        'nonsense: ' . $answer =~ s/\r\n/ /gr);
    $h->end;
    waitpid $fake, 0;
}
$t->done;
