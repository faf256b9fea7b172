# MariaDB and Redis go away and come back under load, in order and by kill -9:
# Weir waits, goes on, and nothing is lost or repeated.
use Weir;
use Weir::Load;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database(cnf => "sync_binlog = 1\ninnodb_flush_log_at_trx_commit = 1");
my $redis = $t->redis(durable => 1);
$db->make_weir_user;
my $load = Weir::Load->new($db, pause_ms => 2)->create_tables;
my $weir = $t->weir(config => shop_config($db, $redis, $t->dir))->start;

# More transactions than now are in the ledger.
sub goes_on
{
    my ($what) = @_;
    my $n = $db->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger');
    wait_for($what, 30, sub { $db->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger') > $n + 30 });
    return;
}

$load->start;
goes_on('load');
for my $round (1 .. 2) {
    for my $how (qw(stop crash)) {
        $db->$how;
        $weir->wait_log(qr/ warn \d+ shop: /)
            if $round == 1;
        $db->start;
        goes_on("load after MariaDB's $how");
        $redis->$how;
        goes_on("load while Redis is away");
        $redis->start;
        goes_on("load after Redis's $how");
    }
}
$load->stop;
wait_synced($db, $redis, $t->dir);
check_shop($db, $redis, $t->dir, 'after eight restarts');
$t->done;
