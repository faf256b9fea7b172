# Several lanes: a random load with hot keys, keys that change, DDL and TRUNCATE
# ends equal; their number is changed under load by reload, and by kill -9 in the
# middle, without loss.
use Weir;
use Weir::Load;
use Weir::Shop;
use Time::HiRes qw(sleep);

my $t     = Weir->new;
my $db    = $t->database;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $long = long_run();
my $mark = 8_000_000_000;
diag 'seed ' . seed();

sub config
{
    my ($users, $orders) = @_;
    my $config = shop_config($db, $redis, $dir,
        relay => 'size = 256m  segment = 1m',
        users => "lanes = $users  events = 40");
    $config =~ s/(sink orders \{)/$1 lanes = $orders  events = 7/;
    return $config;
}

# Each lane writes in order, so rows for all of them mark their ends.
sub synced
{
    my ($what) = @_;
    my ($from, $to) = ($mark + 1, $mark + 150);
    $mark = $to;
    $db->do("INSERT INTO shop.users (id, name) VALUES "
            . join(',', map { "($_, 'mark')" } $from .. $to));
    $db->do("INSERT INTO shop.orders (number, line) VALUES "
            . join(',', map { "('lane', $_ - 8000000000)" } $from .. $to));
    Weir::wait_for("$what: all lanes have it", 90, sub {
        return $redis->ask('EXISTS', map { "users:$_" } $from .. $to) == 150
            && $redis->ask('EXISTS',
            map { 'orders:lane:' . ($_ - 8000000000) } $from .. $to) == 150;
    });
    wait_synced($db, $redis, $dir, 90);
    check_shop($db, $redis, $dir, $what);
    return;
}

# One row that all transactions touch, and another that two keys share by turns.
sub hot_keys
{
    my ($n) = @_;
    my $client = $db->client;
    $client->do("INSERT IGNORE INTO shop.users (id, name, plain) VALUES (5000000001, 'hot', 0)");
    for my $i (1 .. $n) {
        my ($from, $to) = $i % 2 ? (5000000002, 5000000003) : (5000000003, 5000000002);
        $client->do('BEGIN',
            "UPDATE shop.users SET plain = $i WHERE id = 5000000001",
            "INSERT IGNORE INTO shop.users (id, name, plain) VALUES ($from, 'moves', $i)",
            "UPDATE shop.users SET id = $to, plain = $i WHERE id = $from",
            'COMMIT');
    }
    return;
}

my $count = $long ? 4000 : 600;
$load->run($count);
my $weir = $t->weir(config => config(1, 1))->start;
synced('1 lane');
for my $n (4, 8) {
    my ($exit, $said) = $weir->reload(config($n, $n));
    is($exit, 0, "reload to $n lanes") or diag $said;
    $load->run($count);
    hot_keys(100);
    $db->do('TRUNCATE shop.orders') if $n == 8;
    $load->run(100);
    synced("$n lanes");
    is(scalar(grep { $redis->ask('EXISTS', "weir:checkpoint:shop/users:$_") } 1 .. 15),
        $n - 1, 'a checkpoint for each');
}

# Their number changed ten times while they are busy.
$load->start;
for my $n (2, 7, 3, 16, 1, 5, 8, 1, 6, 4) {
    sleep 0.15;
    my ($exit, $said) = $weir->reload(config($n, 17 - $n));
    is($exit, 0, "reload to $n and " . (17 - $n)) or diag $said;
}
$load->stop;
synced('after ten changes');
is(scalar(grep { $redis->ask('EXISTS', "weir:checkpoint:shop/users:$_") } 1 .. 15),
    3, 'what is no longer used is gone');

# The target goes away and comes back: each lane finds its own place.
my ($back) = $weir->reload(config(6, 3));
is($back, 0, 'reload');
$load->start;
sleep 0.3;
$redis->crash;
sleep 0.7;
$redis->start;
sleep 0.3;
$load->stop;
synced('after the target came back');

# Killed, and started with another number: the old one runs until they meet.
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);
$load->start;
for my $n ($long ? (1 .. 8, 2, 7, 4, 6) : (8, 1, 5)) {
    sleep 0.3 + rand 0.3;
    $weir->crash;
    $weir->write_config(config($n, 9 - $n));
    $weir->start;
    $weir->wait_worker("sink shop/$_") for qw(users orders);
}
$load->stop;
synced('after kills');
$t->done;
