# A table that DDL made in a way that its text does not tell, and that is altered
# again before the stream reached what the server said of it: it is parked, which
# is said; the others go on, and nothing is read again and again.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->mariadb(cnf => 'binlog_row_metadata = NO_LOG');
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.other (i INT PRIMARY KEY, c INT)',
    'CREATE TABLE shop.x (i INT PRIMARY KEY, c INT)');
my $begin = $db->value('SELECT @@gtid_binlog_pos');
# `other` is unknown there, and so is what is like it.
$db->do('INSERT INTO shop.x VALUES (1, 1)', 'CREATE TABLE shop.made LIKE shop.other',
    'INSERT INTO shop.made VALUES (1, 1)', 'ALTER TABLE shop.made ADD d INT FIRST',
    'INSERT INTO shop.made VALUES (1, 2, 2)', 'INSERT INTO shop.x VALUES (2, 2)');
my ($source, $dir) = (shop_source($db, qq(start = "gtid:$begin")), $t->dir);
$t->expect_log(qr/shop\.made is parked: .*its column names are unknown: .*a later alter table/);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink x { tables = {"shop.x"}  file { root = "$dir/files"  path = "x.jsonl" } }
    sink made { tables = {"shop.made"}  file { root = "$dir/files"  path = "made.jsonl" } }
}
EOT
my $rows = sub { scalar grep { /"type":"row"/ } Weir::Server::lines_of("$dir/files/x.jsonl") };
ok(eval { wait_for('the other table goes on', 20, sub { $rows->() == 2 }) },
    'the other table goes on');
like($weir->wait_log(qr/ error .*shop\.made is parked/), qr/a later alter table in the log/, 'what is unknown is said');
cmp_ok($weir->log_count(qr/reading again/), '<=', 2, 'it was read again once or twice');

# Altered again and again: each time more is read than the last time, so there is
# nothing to wait for.
$db->do('CREATE TABLE shop.often LIKE shop.other', 'INSERT INTO shop.often VALUES (1, 1)');
$db->do("ALTER TABLE shop.often ADD d$_ INT FIRST",
    'INSERT INTO shop.often VALUES (' . join(', ', map { $_ } 1 .. $_ + 2) . ')') for 1 .. 12;
$db->do('INSERT INTO shop.x VALUES (3, 3)');
$weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    ${\ shop_source($db, qq(start = "gtid:$begin"))}
    sink x { tables = {"shop.x", "shop.often"}  file { root = "$dir/files"  path = "again.jsonl" } }
}
EOT
$t->expect_log(qr/shop\.often is parked/);
ok(eval { wait_for('past all of them', 25, sub { grep { /"i":3\b/ } Weir::Server::lines_of("$dir/files/again.jsonl") }) },
    'thirteen times to read again, without a pause');
is($weir->log_count(qr/reading again.*next try in [1-9]/), 0, 'no next try later');
$t->done;
