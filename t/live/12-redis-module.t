# The Redis sink by itself: a host that calls it, and a real Redis.  What is in
# Redis is what the batches say, and its checkpoint says which.
use Weir;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;
use IO::Socket::INET;

my $t = Weir->new;
plan(skip_all => 'the module is not built: no hiredis')
    if !-e Sinkhost::module_path('sink_redis');
my $redis = $t->redis(durable => 1);
my $dir   = $t->make_dir('state');
my $users = 'table shop users id id:int name:text bio:bytes born:datetime';

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

# ---- Rows
my $h = opened();
is_deeply($h->found, {}, 'no checkpoint yet');
is($h->run('insert 1 Ada %00%0d%0a%ff 1815', 'insert 2 NULL NULL NULL',
        'snapshot 3 B%20C @5 NULL', 'write 1 0 one'), 'OK', 'rows are written');
is_deeply($redis->hash('user:1'),
    { id => 1, name => 'Ada', bio => "\0\r\n\xff", born => '1815-02-03 04:05:00' },
    'as hashes, bytes as they are');
is_deeply($redis->hash('user:2'), { id => 2 }, 'NULL is not there');
is_deeply($redis->hash('user:3'), { id => 3, name => 'B C', bio => 'xxxxx' },
    'a row of a snapshot too');
is_deeply($redis->hash('weir:checkpoint:shop/test'),
    { epoch => 1, data => 'one' }, 'with their checkpoint');
is($h->run('update 1 Ada - - > 1 NULL - -', 'delete 2 NULL NULL NULL',
        'ddl', 'write 1 0 two'), 'OK', 'changes');
is_deeply($redis->hash('user:1'),
    { id => 1, bio => "\0\r\n\xff", born => '1815-02-03 04:05:00' },
    'NULL takes a field away, what is absent stays');
is(keys_like('user:*'), 'user:1 user:3', 'a deleted row is gone');

# ---- Keys that change
is($h->run('update 3 B%20C xxxxx NULL > 4 - - -', 'write 1 0 three'), 'OK',
    'another key');
is_deeply($redis->hash('user:4'), { id => 4, name => 'B C', bio => 'xxxxx' },
    'takes the whole row along');
is(keys_like('user:*'), 'user:1 user:4', 'and leaves nothing behind');
is($h->run('update 1 x x 1 > 9 x x 1', 'update 4 y y 1 > 1 y y 1',
        'update 9 x x 1 > 4 x x 1', 'write 1 0 four'), 'OK', 'two that change places');
is_deeply([ map { $redis->hash("user:$_")->{name} } 1, 4 ], [ 'y', 'x' ], 'have done so');
is($h->run('update 4 - - - > 5 - - -', 'insert 6 z z 1', 'write 1 0 five'), 'OK',
    'a row image that is not whole');
like($h->lines, qr/^verdict 0 REJECT: .*binlog_row_image=FULL/, 'is refused');
is(keys_like('user:*'), 'user:1 user:4 user:6', 'and only that one');
is($h->run('insert NULL z z 1', 'write 1 0 five'), 'OK', 'NULL in the key');
like($h->lines, qr/^verdict 0 REJECT: .*column id of shop.users is NULL/, 'is refused');

# ---- What Redis refuses
$redis->ask('SET', 'user:7', 'a string');
is($h->run('insert 7 a NULL NULL', 'insert 8 b b 1', 'write 1 0 six'), 'OK',
    'a key of another type');
like($h->lines, qr/^verdict 0 REJECT: redis at \S+: key user:7: WRONGTYPE /,
    'is refused, named');
is(scalar(() = $h->lines =~ /^verdict/gm), 1, 'once');
is($redis->hash('user:8')->{name}, 'b', 'the rest of the batch is there');
is($h->run('restore 0') . $h->found->{0}, 'OK1 six', 'as the checkpoint says');
$redis->ask('CONFIG', 'SET', 'maxmemory', '1');
is($h->run('insert 10 a a 1', 'write 1 0 seven'), 'RETRY', 'no memory there');
like($h->{reason}, qr/refuses the batch: OOM .*; raise its maxmemory/, 'says what to do');
$redis->ask('CONFIG', 'SET', 'maxmemory', '0');
is($h->run('restore 0') . $h->found->{0}, 'OK1 six', 'nothing was written');
$redis->ask('REPLICAOF', '127.0.0.1', Weir::free_port());
is($h->run('insert 10 a a 1', 'write 1 0 seven'), 'RETRY', 'a replica');
like($h->{reason}, qr/READONLY .*; it is a replica: give the primary's address/, 'says so');
$redis->ask('REPLICAOF', 'NO', 'ONE');
is($h->run('restore 0', 'insert 10 a a 1', 'write 1 0 seven'), 'OK', 'and goes on after');

# ---- Epochs, and another writer
my $newer = opened();
is_deeply($newer->found, { 0 => '1 seven' }, 'a new owner finds the checkpoint');
is($newer->run('insert 11 new new 1', 'write 2 0 eight'), 'OK', 'and takes over');
is($h->run('insert 11 old old 1', 'write 1 0 eight'), 'FENCED', 'the old one is fenced');
like($h->{reason}, qr/its epoch is 2, ours is 1$/, 'with both epochs');
is($h->run('restore 0'), 'FENCED', 'for good');
is($redis->hash('user:11')->{name}, 'new', 'and has written nothing');
$h->end;
my ($before) = ($newer->run('restore 0'), $newer->found->{0});
$redis->ask('HSET', 'weir:checkpoint:shop/test', 'data', 'by hand');
is($newer->run('insert 12 a a 1', 'write 2 0 nine'), 'RETRY', 'a checkpoint that was touched');
like($newer->{reason}, qr/was changed by somebody else/, 'says so');
is($redis->ask('EXISTS', 'user:12'), 0, 'nothing was written');
is($newer->run('restore 0') . $newer->found->{0}, 'OK2 by hand', 'what is there counts');
is($newer->run('insert 12 a a 1', 'write 2 0 nine'), 'OK', 'and it goes on');

# ---- TRUNCATE
$redis->ask('HSET', 'users', 'a', 1);
$redis->pipeline(map { [ 'HSET', "user:$_", 'id', $_ ] } 1000 .. 8000);
is($newer->run('truncate', 'write 2 0 ten'), 'OK', 'TRUNCATE');
is(keys_like('*'), 'user:7 users weir:checkpoint:shop/test',
    'removes the hashes of that table, nothing else');
is($redis->hash('weir:checkpoint:shop/test')->{data}, 'ten', 'with the checkpoint');
$newer->end;
$h = opened(key => 'weir:{id}');
is($h->run('insert 1 a a 1', 'truncate', 'write 2 0 x'), 'OK', 'a batch');
is($h->run('truncate', 'write 2 0 eleven'), 'OK', 'a key that matches the checkpoint');
is(keys_like('weir:*'), 'weir:checkpoint:shop/test', 'does not take it away');
$h->end;
$h = host(key => '{id}');
is($h->tell('check'), 'FATAL', 'a key that begins with a column is refused');
like($h->{reason}, qr/TRUNCATE of a table would remove every hash/, 'with the reason');
$h->end;
is(host(key => '{id}', truncate => 'ignore')->tell('check'), 'OK', 'unless TRUNCATE is ignored');
is(host(key => '{table}:{id}')->tell('check'), 'OK', 'a table counts as text');
$h = opened(key => 'user:{id}', truncate => 'ignore');
is($h->run('insert 1 a a 1', 'write 2 0 a'), 'OK', 'truncate = ignore');
is($h->run('truncate', 'write 2 0 b'), 'OK', 'TRUNCATE');
is($redis->ask('EXISTS', 'user:1'), 1, 'removes nothing then');

# ---- Large
is($h->run('insert 40 @40000000 @300000 NULL', 'insert 41 b b 1', 'write 2 0 c'), 'OK',
    'a value of 40 MB');
is($redis->ask('HSTRLEN', 'user:40', 'name'), 40000000, 'is there');
is($redis->ask('HSTRLEN', 'user:40', 'bio'), 300000, 'with its neighbours');
is($redis->hash('user:41')->{name}, 'b', 'and the row behind it');
is($h->run('bench 2 100000 3 2'), 'OK', 'a batch of 100,000 rows blocks nobody');
is(scalar(@{ $redis->ask('KEYS', 'user:*') }), 200000, 'all are there');
is($h->run('forget all', 'restore all'), 'OK', 'forgotten');
is_deeply($h->found, {}, 'is gone');
$h->end;
$redis->ask('FLUSHALL');

# ---- Lost connections
$h = opened();
is($h->run('insert 1 a a 1', 'write 1 0 one'), 'OK', 'connected');
$redis->ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
is($h->run('insert 2 b b 1', 'write 1 0 two'), 'RETRY', 'a connection that is cut');
is($h->run('restore 0') . $h->found->{0}, 'OK1 one', 'is made again');
is($h->run('insert 2 b b 1', 'write 1 0 two'), 'OK', 'and works');
for my $try (1 .. 3) {
    print { $h->{in} } "bench 1000000 500 4 1\n";
    wait_for('batches', 20, sub { $redis->ask('DBSIZE') > 3000 * $try });
    $redis->crash;
    is($h->answer, 'RETRY', 'Redis killed in mid-batch');
    is($h->tell('restore 0'), 'RETRY', 'and not there');
    like($h->{reason}, qr/^connect to redis at 127\.0\.0\.1:\d+: Connection refused$/, 'says so');
    $redis->start;
    is($h->tell('restore 0'), 'OK', 'it comes back');
    my ($batch) = $h->found->{0} =~ /^1 (\d+)$/;
    is($redis->ask('EXISTS', 'user:' . ($batch * 500 + 499)), 1, 'with all of the last batch');
    my %left = map { $_ => 1 } grep { /^user:(\d+)$/ && $1 >= ($batch + 1) * 500 }
        @{ $redis->ask('KEYS', 'user:*') };
    is(scalar(keys %left), 0, 'and nothing of the next') if $try == 1;
}
$h->end;
$redis->ask('FLUSHALL');

# ---- Hosts, rights
$h = opened(socket => $redis->socket);
is($h->run('insert 1 a a 1', 'write 1 0 one'), 'OK', 'by a unix socket');
$h->end;
$h = opened(db => 3);
is($h->run('insert 1 a a 1', 'write 1 0 one'), 'OK', 'another database');
like($redis->ask('INFO', 'keyspace'), qr/db3:keys=2/, 'has the keys');
$h->end;
is(host(db => 99)->run('open', 'restore all'), 'FATAL', 'one that is not there');
$redis->ask('ACL', 'SETUSER', 'weir', 'on', '>secret', '~user:*',
    '~weir:checkpoint:*', map { "+$_" } qw(multi exec watch unwatch hset hdel
        hget hmget del unlink scan select));
open my $pw, '>', "$dir/pw" or die;
print {$pw} "secret\n";
close $pw;
chmod 0600, "$dir/pw";
$h = opened(user => 'weir', password_file => "$dir/pw");
is($h->run('insert 1 a NULL 1', 'update 1 a NULL 1 > 2 a NULL 1', 'delete 2 a NULL 1',
        'write 1 0 two'), 'OK', 'the rights in the README');
is($h->run('truncate', 'write 1 0 three'), 'OK', 'are enough');
$h->end;
$h = host(user => 'weir', password => 'wrong');
is($h->run('open', 'restore all'), 'FATAL', 'a wrong password');
like($h->{reason}, qr/refuses AUTH: WRONGPASS .*; see user, password and password_file$/, 'says so');
$h = host(user => 'weir', password => 'secret', key => 'other:{id}');
is($h->run('open', $users, 'insert 1 a a 1', 'write 1 0 x'), 'FATAL', 'a right that is missing');
like($h->{reason}, qr/NOPERM .*; see the README/, 'says so');
is(host(user => 'weir')->tell('check'), 'FATAL', 'user without password');
is(host(password => 'a', password_file => 'b')->tell('check'), 'FATAL', 'two passwords');
$redis->ask('SET', 'weir:checkpoint:shop/test', 'x');
$h = host();
is($h->run('open', 'restore all'), 'FATAL', 'a checkpoint that is none');
$h->end;

# ---- What answers is no Redis, or says nothing
my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
my $silent = host(port => $listen->sockport, timeout => '200ms');
is($silent->run('open', 'restore all'), 'RETRY', 'silence');
like($silent->{reason}, qr/no answer in 200 ms$/, 'is given up');
my $web = fork // die;
if (!$web) {
    $listen->accept;
    my $peer = $listen->accept;
    print {$peer} "HTTP/1.1 400 Bad Request\r\n\r\n";
    $peer->flush;
    sysread $peer, my $all, 1 << 16;
    POSIX::_exit(0);
}
is($silent->run('restore all'), 'FATAL', 'another protocol');
like($silent->{reason}, qr/is this a Redis\?$/, 'says so');
waitpid $web, 0;
$silent->end;
$t->done;
