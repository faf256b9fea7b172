# The same of the connection to a search server: whatever became of an answer,
# each document is in the end what its row is.
use Weir;
use Weir::Faults;
use Weir::Load;
use Weir::Proxy;
use Weir::Searchshop;
use List::Util qw(shuffle);

my $rounds = long_run() ? 12 : 1;
my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->mariadb;
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 4)->create_tables;
my $wire = Weir::Faults->new(name => 'search server', given_up => 2,
    proxy   => Weir::Proxy->new($t, $search->port),
    arrives => sub { search_synced($db, $search) });
my $again = 'events = 50  wait = 10ms  retry { cap = 1s }  breaker { failures = 1000 }';
my $weir  = $t->weir(config => search_config($db, $search,
    url    => 'http://127.0.0.1:' . $wire->{proxy}->port,
    all    => 'timeout = 2s',
    users  => "$again  lanes = 2",
    orders => $again))->start;
diag 'seed ' . seed() . ", $rounds rounds";

$load->start;
search_synced($db, $search);
for my $round (1 .. $rounds) {
    $wire->do($_) for shuffle Weir::Faults::kinds();
    next if $round % 4;
    $load->stop;
    check_search($db, $search, "round $round");
    $load->start;
}
my $n = $load->stop;
search_synced($db, $search);
check_search($db, $search, "after $n transactions");
unlike($weir->status_text, qr/parked|stopped/, 'nothing was parked or stopped');
$wire->report;
$t->done;
