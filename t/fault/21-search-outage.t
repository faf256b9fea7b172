# A search server that goes away under load: with another url at once, as the sink
# goes on there; without one for a minute (WEIR_LONG; else 5 seconds), after which
# everything is caught up with and equal.
use Weir;
use Weir::Cut;
use Weir::Load;
use Weir::Searchshop;
use Time::HiRes qw(sleep time);

my $t      = Weir->new;
my $search = $t->search;
my $db     = $t->mariadb;
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 2)->create_tables;
my $way  = Weir::Cut->new($t, to => $search->port, pattern => qr/(?!)/);
my $urls = join '", "', 'http://127.0.0.1:' . $way->port, $search->url;
my $weir = $t->weir(
    config => search_config($db, $search,
        url    => $urls,
        users  => 'events = 50  wait = 10ms  lanes = 2  retry { cap = 1s }  breaker { failures = 1000 }',
        orders => 'events = 50  wait = 10ms  retry { cap = 1s }  breaker { failures = 1000 }',
    )
)->start;

$load->start;
search_synced($db, $search);
my $before = $search->count('shop-users');
$way->stop;
wait_for('rows arrive by the other url', 60, sub { $search->count('shop-users') > $before + 20 });
is(scalar(grep { $_->{state} ne 'running' } @{ $weir->status }{qw(users orders)}), 0,
    'one of two urls is gone: both sinks run');
$load->stop;
search_synced($db, $search);
check_search($db, $search, 'one url less');

my $away = long_run() ? 60 : 5;
$load->start;
$search->stop;
sleep $away;    # the length is the point
$search->start;
my $back = time;
my $more = $load->stop;
search_synced($db, $search, 300);
diag sprintf 'away for %d s and its start; %d transactions by then, caught up with in %.1f s',
    $away, $more, time - $back;
check_search($db, $search, "after $away seconds without a server");
unlike($weir->status_text, qr/parked|stopped/, 'nothing was parked or stopped');
$t->done;
