# kill -9 of the source worker, of each sink worker, of Weir and of the search
# server at random moments under load; then every document is what its row is.
use Weir;
use Weir::Load;
use Weir::Searchshop;
use Time::HiRes qw(sleep);

my $rounds = $ENV{WEIR_SEARCH_KILLS} // (long_run() ? 20 : 3);
my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->mariadb;
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 2)->create_tables;
my $weir = $t->weir(
    config => search_config($db, $search,
        users  => 'events = 50  wait = 10ms  lanes = 2  breaker { failures = 1000 }',
        orders => 'events = 50  wait = 10ms  breaker { failures = 1000 }',
        relay  => 'size = 256m  segment = 1m'
    )
)->start;
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);
diag 'seed ' . seed() . ", $rounds rounds";

$load->start;
my @victims = ('source shop', map { "sink shop/$_" } qw(users orders));
for my $round (1 .. $rounds) {
    for my $victim (@victims) {
        sleep rand 0.5;    # the moment is the point
        $weir->crash_worker($victim);
    }
    sleep rand 0.5;
    if ($round % 3 == 0) {
        $search->crash;
        $search->start;
    } else {
        $weir->crash;
        $weir->start;
    }
    $weir->wait_worker($_) for @victims;
    next if $round % 5;
    $load->stop;
    search_synced($db, $search, 120);
    check_search($db, $search, "round $round");
    $load->start;
}
$load->stop;
search_synced($db, $search, 120);
check_search($db, $search, "after $rounds rounds");
$t->done;
