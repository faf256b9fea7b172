# Thousands of random changes; then Redis holds what MariaDB holds, and the
# ledger's file each transaction once and in order.
use Weir;
use Weir::Load;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database;
my $redis = $t->redis;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $weir = $t->weir(config => shop_config($db, $redis, $t->dir));

# Half before it starts (it reads them from the binlog), half while it runs.
my $count = long_run() ? 40000 : 4000;
$load->run($count / 2);
$weir->start;
$load->run($count / 2);
wait_synced($db, $redis, $t->dir);
check_shop($db, $redis, $t->dir, 'after ' . $load->{n} . ' transactions');

# A clean stop and start repeats nothing, and what came in between arrives.
$weir->stop;
$load->run(100);
$weir->start;
wait_synced($db, $redis, $t->dir);
check_shop($db, $redis, $t->dir, 'after a restart');

$db->do('TRUNCATE shop.users');
wait_synced($db, $redis, $t->dir);
check_shop($db, $redis, $t->dir, 'after TRUNCATE');
$t->done;
