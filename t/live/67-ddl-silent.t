# What DDL does that no row event shows: rows of partitions are named in a
# warning; temporary tables are nobody else's business.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(cnf => 'binlog_row_metadata = NO_LOG');
$db->make_weir_user;
$t->make_dir('files');
my $dir    = $t->dir;
my $source = shop_source($db, 'start = now');
$db->do('CREATE DATABASE shop', 'USE shop',
    'CREATE TABLE t (a INT PRIMARY KEY, b INT) PARTITION BY RANGE (a)'
        . ' (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (100))',
    'CREATE TABLE u (a INT PRIMARY KEY, b INT)');
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink all { file { root = "$dir/files"  path = "all.jsonl" } }
}
EOT
sub text { return join "\n", Weir::Server::lines_of("$dir/files/all.jsonl") }
$db->do('INSERT INTO t VALUES (1, 2)', 'INSERT INTO u VALUES (3, 4)');
wait_for('two rows', 30, sub { text() =~ /"a":3,"b":4/ });

# In the log as statements, of tables with the same names.
$db->do('SET SESSION binlog_format = STATEMENT') if ref $db eq 'Weir::Mariadb';
$db->do('CREATE TEMPORARY TABLE u (x INT, y INT)', 'ALTER TABLE u ADD z INT',
    'CREATE INDEX i ON u (x)', 'TRUNCATE TABLE u', 'DROP TEMPORARY TABLE u');
$db->do('SET SESSION binlog_format = ROW') if ref $db eq 'Weir::Mariadb';
$db->do('INSERT INTO u VALUES (5, 6)');
wait_for('a row after it', 30, sub { text() =~ /"a":5,"b":6/ });
is(scalar(() = text() =~ /"op":"t|truncate/g), 0, 'no TRUNCATE of the real table');
unlike(join("\n", $weir->log_lines), qr/unknown/, 'and it is still known');

# A default that has the same flag set for all that is done to its table.
if (!$db->isa('Weir::Mysql') || $db->release >= 800) { # expressions as defaults
    $db->do('CREATE TABLE w (a INT, b INT, c BIGINT DEFAULT (CONNECTION_ID()))',
        'INSERT INTO w (a, b) VALUES (100, 200)', 'ALTER TABLE w CHANGE a b INT, CHANGE b a INT',
        'INSERT INTO w (a, b) VALUES (400, 300)', 'TRUNCATE TABLE w', 'INSERT INTO u VALUES (7, 8)');
    wait_for('a row behind them', 30, sub { text() =~ /"a":7,"b":8/ });
    like(text(), qr/"b":300,"a":400/, 'an ALTER of a table with CONNECTION_ID() is followed');
    is(scalar(() = text() =~ /"operation":"truncate"/g), 1, 'its TRUNCATE comes');
}

# MariaDB: in the log when it begins, and when it is done or has failed.
if (!$db->isa('Weir::Mysql')) {
    $db->do('SET binlog_alter_two_phase = ON', 'CREATE TABLE v (a INT, b INT)', 'INSERT INTO v VALUES (1, 2), (1, 3)',
        'ALTER TABLE v CHANGE a b INT, CHANGE b a INT', 'INSERT INTO v VALUES (10, 11)');
    isnt($db->{client}->try('ALTER TABLE v CHANGE b c INT, ADD UNIQUE (c), ALGORITHM = COPY'), '', 'an ALTER that fails');
    $db->do('INSERT INTO v VALUES (12, 13)');
    my $log = join "\n", map { $_->[5] } $db->rows('SHOW BINLOG EVENTS');
    like($log, qr/START ALTER.*COMMIT ALTER.*ROLLBACK ALTER/s, 'in two phases');
    wait_for('a row behind them', 30, sub { text() =~ /":12,"/ });
    like(text(), qr/"b":10,"a":11\b/, 'an ALTER in two phases is followed once');
    like(text(), qr/"b":12,"a":13\b/, 'one that failed is not');
    is(scalar(() = text() =~ /"statement":"ALTER TABLE v /g), 1, 'it is passed on once');
    $db->do('SET binlog_alter_two_phase = OFF');
}

$db->do('ALTER TABLE t ADD PARTITION (PARTITION p2 VALUES LESS THAN (1000))',
    'ALTER TABLE t DROP PARTITION p0', 'INSERT INTO t VALUES (20, 7)');
wait_for('a row after that', 30, sub { text() =~ /"a":20,"b":7/ });
my @warned = grep { /without row events/ } $weir->log_lines;
is(scalar @warned, 1, 'one warning');
like($warned[0], qr/warn .*: shop\.t: .*copy the table anew/, 'which names the table');
$t->done;
