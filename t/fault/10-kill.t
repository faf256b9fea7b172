# kill -9 of each process at a random moment under load, again and again; then
# nothing is lost, repeated or out of order.
use Weir;
use Weir::Load;
use Weir::Shop;
use Time::HiRes qw(sleep);

my $rounds = $ENV{WEIR_KILLS} // 3;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $dir  = $t->dir;
my $weir = $t->weir(
    config => shop_config(
        $db, $redis, $dir,
        users => 'events = 50',
        relay => 'size = 256m  segment = 1m'
    )
)->start;
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);
diag 'seed ' . seed() . ", $rounds rounds a process";

$load->start;
my @victims = ('source shop', map { "sink shop/$_" } qw(users orders ledger));
for my $round (1 .. $rounds) {
    for my $victim (@victims) {
        sleep rand 0.3;    # the moment is the point
        $weir->crash_worker($victim);
    }
    sleep rand 0.3;
    $weir->crash;
    $weir->start;
    $weir->wait_worker($_) for @victims;
    next if $round % 5;
    $load->stop;
    wait_synced($db, $redis, $dir);
    check_shop($db, $redis, $dir, "round $round");
    $load->start;
}
$load->stop;
wait_synced($db, $redis, $dir, 120);
check_shop($db, $redis, $dir, "after $rounds rounds");
$t->done;
