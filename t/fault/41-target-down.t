# The target is away for a while under load: nobody else waits for it, and when it
# is back the sink catches up as fast as it can write; in the end all is equal.
# A Redis that comes back with older data is written to from there on; one that
# comes back empty is not written to before somebody says so.
use Weir;
use Weir::Load;
use Weir::Shop;
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $away  = long_run() ? 120 : 10;
my $bulk  = long_run() ? 400_000 : 60_000;
my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
my $load = Weir::Load->new($db, pause_ms => 3)->create_tables;
$db->do('CREATE TABLE shop.many (i BIGINT PRIMARY KEY, what VARCHAR(60), n INT)');
my $port = $redis->port;
my $patience = 'retry { cap = 1s }  breaker { open = 1s }';
my $config = shop_config($db, $redis, $dir, relay => 'size = 1g  segment = 1m  keep = 1h', users => $patience,
    more => qq(sink many { tables = {"shop.many"}  $patience redis { port = $port  key = "many:{i}" } }));
$config =~ s/(tables = \{"shop.orders"\})/$1 $patience/;
my $weir = $t->weir(config => $config)->start;
my $rows = 0;

sub worker
{
    my ($name) = @_;
    my ($exit, $said) = $weir->ctl('--json', 'status');
    my ($w) = grep { $_->{name} eq $name }
        @{ JSON::PP->new->decode($said)->{pipelines}[0]{workers} };
    return $w;
}

# So many rows, and waits until they are in the relay.
sub backlog
{
    for (1 .. $bulk / 2000) {
        my $from = $rows;
        $rows += 2000;
        $db->do("INSERT INTO shop.many SELECT seq + $from, CONCAT('some text of row ', seq), seq FROM shop.seq_1_to_2000");
    }
    my $end = $db->gtids;
    my $n = ($end =~ /-(\d+)$/)[0];
    wait_for('the relay has them', 60, sub { (worker('source')->{gtid} =~ /-(\d+)$/)[0] >= $n });
    return;
}

# Rows a second of that sink from its first batch until it has caught up.
sub rate
{
    my ($from) = @_;
    my ($began, $had);
    wait_for('it is written to', 60, sub {
        my $w = worker('many');
        $had = $w->{rows} - $from;
        $began = time if $had > 0;
        return $began;
    });
    wait_for('it has caught up', 300, sub { worker('many')->{rows} - $from >= $bulk });
    my $took = time - $began;
    return (($bulk - $had) / ($took || 0.001), $took);
}

# ---- Undisturbed: a backlog of the same size, behind a pause

$load->start;
$weir->ctl('pause', 'shop/many', 'to fill the relay');
$weir->wait_state('many', 'paused');
backlog();
$weir->ctl('resume', 'shop/many');
my ($undisturbed) = rate(0);

# ---- Away

my $file = sub { -s ledger_path($dir) // 0 };
my $had  = worker('many')->{rows};
$redis->stop;
my $since = time;
my $size  = $file->();
backlog();
sleep 0.2 while time - $since < $away;
my $why = $weir->wait_state('many', 'waiting');
like($why, qr/127\.0\.0\.1:$port: Connection refused/, 'the sink waits, and says for whom');
cmp_ok($file->(), '>', $size, 'another sink goes on');
is($weir->status->{source}{state}, 'running', 'so does the source');
my $n = $load->stop;
$redis->start;
my $back = time;
my ($rate, $took) = rate($had);
my $first = time - $took - $back;
wait_synced($db, $redis, $dir, 120);
note sprintf '%d s away: written to %.1f s after it is back; %d rows at %.0f a second; undisturbed %.0f: %.2f',
    $away, $first, $bulk, $rate, $undisturbed, $rate / $undisturbed;
cmp_ok($rate / $undisturbed, '>', 0.5, 'it catches up at full speed') if long_run();
cmp_ok($first, '<', 5 * $Weir::Slow, 'it is found to be back soon');
check_shop($db, $redis, $dir, "$away s away");
is(scalar @{ $redis->ask('KEYS', 'many:*') }, $rows, "each of $rows rows is there");

# ---- Back with older data, and the checkpoints of then

$redis->ask('SAVE');
$load->start;
sleep 2;    # of a load
my $from = $weir->log_mark;
$redis->crash;
$redis->start;
$weir->wait_log(qr{shop/users: .*goes on}, from => $from);
$n = $load->stop;
wait_synced($db, $redis, $dir, 120);
check_shop($db, $redis, $dir, 'back with older data');

# ---- Back empty

# Our copy of the checkpoint is of each second.
my $copy = $weir->state . '/shop/users/checkpoint';
my $now = time;
wait_for('our copy', 30, sub { (Time::HiRes::stat($copy))[9] > $now });
$redis->crash;
unlink "$redis->{dir}/dump.rdb" or die "dump.rdb: $!\n";
$redis->start;
$db->do("INSERT INTO shop.users (id, name) VALUES (7000000001, 'later')");
$t->expect_log(qr/has no checkpoint any more/);
like($weir->wait_state('users', 'stopped'), qr/no checkpoint any more.*adopt = on/,
    'back empty: it stops, and says what to do');
is(scalar @{ $redis->ask('KEYS', 'users:*') }, 0, 'and writes nothing');
my ($exit, $said) = $weir->ctl('adopt', 'shop/users');
is($exit, 0, 'adopt') or diag $said;
wait_for('what came since then', 30, sub { $redis->ask('EXISTS', 'users:7000000001') });
cmp_ok(scalar @{ $redis->ask('KEYS', 'users:*') }, '<', 20, 'it goes on from there, and copies nothing');
$t->done;
