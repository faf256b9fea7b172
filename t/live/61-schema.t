# Without binlog_row_metadata=FULL names come from information_schema; DDL
# while it runs is seen.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database(cnf => 'binlog_row_metadata = NO_LOG');
my $redis = $t->redis;
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    "CREATE TABLE shop.t (i INT UNSIGNED PRIMARY KEY, name VARCHAR(20)"
        . " CHARACTER SET latin1, kind ENUM('one', 'two'), tags SET('x', 'y'))");
my ($source, $port) = (shop_source($db, 'start = now'), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink cache { redis { host = "127.0.0.1"  port = $port  key = "t:{i}" } }
}
EOT
$db->do("INSERT INTO shop.t VALUES (4294967295, 'caf\xc3\xa9', 'two', 'x,y')");
wait_for('the row', 30, sub { $redis->ask('EXISTS', 't:4294967295') });
is_deeply(
    $redis->hash('t:4294967295'),
    { i => 4294967295, name => "caf\xc3\xa9", kind => 'two', tags => 'x,y' },
    'names, sign, charset and members'
);
$db->do('ALTER TABLE shop.t ADD COLUMN extra INT, CHANGE name title VARCHAR(30)');
$db->do("INSERT INTO shop.t VALUES (2, 'b', 'one', '', 7)");
wait_for('the row after DDL', 30, sub { $redis->ask('EXISTS', 't:2') });
is_deeply(
    $redis->hash('t:2'),
    { i => 2, title => 'b', kind => 'one', tags => '', extra => 7 },
    'the new definition'
);
$db->do('CREATE TABLE shop.u (i INT PRIMARY KEY, c INT)',
    'INSERT INTO shop.u VALUES (3, 9)');
wait_for('a row of a new table', 30, sub { $redis->ask('EXISTS', 't:3') });
is_deeply($redis->hash('t:3'), { i => 3, c => 9 }, 'a new table');
$t->done;
