# UUID, INET4, INET6 and JSON of MariaDB, of which even full metadata says
# nothing: their own forms where the definition can be proved, and the plain ones
# of what the log calls them, without any stop, where it can't.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->mariadb(cnf => 'binlog_row_metadata = FULL');
my $redis = $t->redis;
$db->make_weir_user;
my @columns = ('i INT PRIMARY KEY', 'u UUID', 'four INET4', 'six INET6',
    'j JSON', 'b BINARY(16)', 't LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');
my @values = ("'123e4567-e89b-12d3-a456-426655440000'", "'10.0.0.1'",
    "'2001:db8::1'", q('{"a": [1, 2]}'), "'x'", q('{"a": 1}'));
my $columns = join ', ', @columns;
my $values  = join ', ', @values;
$db->do('CREATE DATABASE shop', "CREATE TABLE shop.t ($columns)",
    "CREATE TABLE shop.gone ($columns)");
my $bytes = "x" . "\0" x 15;
my %own = (
    u    => '123e4567-e89b-12d3-a456-426655440000',
    four => '10.0.0.1', six => '2001:db8::1',
    j    => '{"a": [1, 2]}', b => $bytes, t => '{"a": 1}'
);
my %plain = (
    %own,
    u    => pack('H*', '123e4567e89b12d3a456426655440000'),
    four => "\x0a\0\0\1",
    six  => pack('H*', '20010db8000000000000000000000001')
);

# A backlog that begins behind CREATE TABLE: `gone` is altered behind its row, so
# that what the server says of it now was not so then.
my $begin = $db->value('SELECT @@gtid_binlog_pos');
$db->do("INSERT INTO shop.gone VALUES (1, $values)",
    'ALTER TABLE shop.gone ADD COLUMN more INT',
    "INSERT INTO shop.gone VALUES (2, $values, 5)",
    "INSERT INTO shop.t VALUES (3, $values)");
my ($source, $port) = (shop_source($db, qq(start = "gtid:$begin")), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink cache { redis { host = "127.0.0.1"  port = $port  key = "t:{i}" } }
}
EOT
wait_for('the rows', 30, sub { $redis->ask('EXISTS', 't:3') });
is_deeply($redis->hash('t:1'), { i => 1, %plain },
    'before a change of the table: as the log has it');
is_deeply($redis->hash('t:3'), { i => 3, %own }, 'a definition that was proved');
$db->do("INSERT INTO shop.t VALUES (4, $values)");
wait_for('a row now', 30, sub { $redis->ask('EXISTS', 't:4') });
is_deeply($redis->hash('t:4'), { i => 4, %own }, 'and while it runs');
$db->do('ALTER TABLE shop.t ADD COLUMN v INT',
    "INSERT INTO shop.t VALUES (5, $values, 7)");
wait_for('a row after DDL', 30, sub { $redis->ask('EXISTS', 't:5') });
is_deeply($redis->hash('t:5'), { i => 5, v => 7, %own }, 'and after DDL');
is($redis->hash('t:2')->{more}, 5, 'the altered table goes on');
$t->done;
