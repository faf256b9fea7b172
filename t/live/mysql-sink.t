# Thousands of random changes replayed into another server: then both hold the
# same, row by row, and the ledger each transaction once.
use Weir;
use Weir::Load;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0)->create_tables;
copy_definitions($db, $target, 'shop');
my $weir = $t->weir(config => replay_config($db, $target, $t->dir));

my $count = long_run() ? 40000 : 3000;
$load->run($count / 2);
$weir->start;
$load->run($count / 2);
wait_replayed($db, $target);
same_tables($db, $target, 'shop', 'after ' . $load->{n} . ' transactions');

$weir->stop;
$load->run(100);
$weir->start;
wait_replayed($db, $target);
same_tables($db, $target, 'shop', 'after a restart');

$db->do('TRUNCATE shop.users', "INSERT INTO shop.ledger VALUES (0, 'end')");
wait_replayed($db, $target);
same_tables($db, $target, 'shop', 'after TRUNCATE');
$t->done;
