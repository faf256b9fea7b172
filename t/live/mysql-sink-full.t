# A target whose tablespace must not grow, and is full: the sink waits and says
# why, and goes on when there is room; nothing is lost or there twice.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t, cnf => 'innodb_data_file_path = ibdata1:12M;ibdata2:48M');
$db->make_weir_user;
$target->do('SET GLOBAL innodb_file_per_table = 0');
$_->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.big (n INT PRIMARY KEY, a LONGBLOB)') for $db, $target->client;
my $n = 0;
sub put
{
    $n++;
    $db->do('BEGIN', "INSERT INTO shop.big SELECT $n, REPEAT('x', 4000000)", "INSERT INTO shop.ledger VALUES ($n)", 'COMMIT');
    return;
}

my $weir = $t->weir(config => replay_config($db, $target, $t->dir))->start;
put();
wait_replayed($db, $target);
my $filler = $target->client;
$filler->do('CREATE DATABASE filler', 'CREATE TABLE filler.t (a LONGBLOB)');
# What is left is enough for the server's own work, and not for a row.
for (1 .. 100) { last if $filler->try("INSERT INTO filler.t SELECT REPEAT('x', 1000000)") ne '' }
put() for 1 .. 2;
like($weir->wait_log(qr/shop\/copy: .*next try/), qr/is full.*make room on the target; attempts go on/, 'no room: tried again');
$weir->wait_log(qr/shop\/copy: .*is full.*4th/);
put();
$target->do('DROP DATABASE filler');
wait_replayed($db, $target);
same_tables($db, $target, 'shop', 'when there is room');
is($weir->log_count(qr/parked|stopped:/), 0, 'nothing was refused');
$t->done;
