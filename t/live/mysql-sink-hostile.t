# A target whose defaults would change what is written, each in a way that no
# error tells: the session is pinned against all of them.  And tables there that
# fill in what a row leaves out: they write what the source has, or say that
# they can't.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;

my @tables = (
    'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.texts (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(100) CHARACTER SET utf8mb4, b VARCHAR(100) CHARACTER SET latin1, c VARBINARY(100))',
    'CREATE TABLE shop.times (id INT PRIMARY KEY, d DATE, t TIMESTAMP NULL, u DATETIME(6))',
    'CREATE TABLE shop.touched (id INT PRIMARY KEY, n INT, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))',
    'CREATE TABLE shop.filled (id INT PRIMARY KEY, a INT DEFAULT 5, b VARCHAR(9) DEFAULT \'x\')',
    'CREATE TABLE shop.parents (id INT PRIMARY KEY, n INT UNIQUE)',
    'CREATE TABLE shop.children (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parents (id))',
    'CREATE TABLE shop.more (id INT PRIMARY KEY, a INT)',
    'CREATE TABLE shop.nulls (id INT PRIMARY KEY, at TIMESTAMP NULL)',
);
$_->do('CREATE DATABASE shop CHARACTER SET utf8mb4', @tables) for $db, $target;
$target->do('ALTER TABLE shop.more ADD must INT NOT NULL',
    'ALTER TABLE shop.nulls MODIFY at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP');

# An account without rights over the server: init_connect is for those.
$target->do("CREATE USER 'plain'\@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON shop.* TO 'plain'\@'%'",
    "GRANT ALL ON weir.* TO 'plain'\@'%'");
my %hostile = (
    sql_mode => "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_UNSIGNED_SUBTRACTION'",
    time_zone => "'+05:30'", character_set_server => "'latin1'", collation_connection => "'latin1_swedish_ci'",
    innodb_lock_wait_timeout => 1, autocommit => 0, foreign_key_checks => 0, unique_checks => 0,
    completion_type => "'CHAIN'", sql_select_limit => 1, sql_safe_updates => 1, max_error_count => 0,
    init_connect => "'SET NAMES latin1, sql_mode = '''', time_zone = ''-03:00'', autocommit = 0'",
    transaction_isolation => "'SERIALIZABLE'", tx_isolation => "'SERIALIZABLE'",
    transaction_read_only => 1, tx_read_only => 1, explicit_defaults_for_timestamp => 0, sql_auto_is_null => 1,
);
my $hostile = 0;
for my $name (sort keys %hostile) {
    my $error = $target->client->try("SET GLOBAL $name = $hostile{$name}");
    $hostile += $error eq '';
    note "$name: $error" if $error ne '';
}
cmp_ok($hostile, '>=', 14, 'the target is hostile');
my $config = replay_sinks($db, $target,
    copy => [ '', $db->logs_cascades ? 'foreign_keys = off' : '' ],
    upsert => [ '', 'database = "upsert" conflict = idempotent' ]);
$config =~ s/user = "replay"/user = "plain"/g;
copy_definitions($db, $target, 'shop', 'upsert');
$target->do("GRANT ALL ON upsert.* TO 'plain'\@'%'", 'DROP TABLE upsert.more', 'DROP TABLE upsert.nulls');
$t->expect_log(qr/is parked/);
my $weir = $t->weir(config => $config)->start;

my $text = "it''s \\\\ \" caf\xc3\xa9 \xf0\x9f\x90\x9f";
$db->do('SET NAMES utf8mb4', "SET time_zone = '+00:00'", "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
    'BEGIN', "INSERT INTO shop.texts VALUES (1, '$text', 'caf\xc3\xa9', x'00ff27'), (0, 'zero', '', ''), (-1, 'a||b', 'x', '')",
    "UPDATE shop.texts SET a = CONCAT(a, '\xe8\xa1\xa8') WHERE id = 1",
    "INSERT INTO shop.times VALUES (1, '0000-00-00', '2024-03-31 01:30:00', '2024-02-00'), (2, '2023-02-31', '1970-01-01 00:00:01', '0000-00-00')",
    'INSERT INTO shop.parents VALUES (1, 1), (2, 2)', 'INSERT INTO shop.children VALUES (1, 1), (2, 2)',
    'INSERT INTO shop.ledger VALUES (1)', 'COMMIT');
wait_replayed($db, $target, $_) for 'shop', 'upsert';

# ---- A column that fills itself in on the target, when its row is touched

$db->do("INSERT INTO shop.touched VALUES (1, 1, '2001-02-03 04:05:06.5'), (2, 2, '2001-02-03 04:05:06.5'), (3, 3, '2001-02-03 04:05:06.5')",
    'INSERT INTO shop.ledger VALUES (2)');
wait_replayed($db, $target, $_) for 'shop', 'upsert';
for my $image (qw(FULL MINIMAL NOBLOB)) {
    $db->do("SET SESSION binlog_row_image = $image", 'UPDATE shop.touched SET n = n + 10, at = at WHERE id = 1',
        'UPDATE shop.touched SET n = n + 10 WHERE id = 2', 'UPDATE shop.touched SET id = id + 10, at = at WHERE id % 10 = 3');
}

# ---- Rows that leave columns to their defaults, where others stood before

$db->do('SET SESSION binlog_row_image = MINIMAL', 'INSERT INTO shop.filled VALUES (1, 1, \'one\'), (2, 2, \'two\'), (3, 3, \'three\')',
    'INSERT INTO shop.ledger VALUES (3)');
wait_replayed($db, $target, $_) for 'shop', 'upsert';
$db->do('BEGIN', 'DELETE FROM shop.filled WHERE id = 1', 'INSERT INTO shop.filled (id) VALUES (1)',
    'DELETE FROM shop.filled WHERE id = 2', 'INSERT INTO shop.filled (id, a) VALUES (2, 7)', 'UPDATE shop.filled SET b = NULL WHERE id = 1',
    'INSERT INTO shop.filled (id, b) VALUES (4, NULL)', 'UPDATE shop.filled SET a = NULL WHERE id = 4',
    'INSERT INTO shop.ledger VALUES (4)', 'COMMIT', 'SET SESSION binlog_row_image = FULL');

# ---- What the target would fill in by itself

$db->do('INSERT INTO shop.more VALUES (1, 1)', "INSERT INTO shop.nulls VALUES (1, '2001-01-01'), (2, NULL)", 'INSERT INTO shop.ledger VALUES (5)');
for my $as ('shop', 'upsert') {
    wait_replayed($db, $target, $as);
    for my $table (qw(texts times touched filled parents children)) {
        my ($want, $have) = map { Weir::Replay::digest(@$_) } [ $db, 'shop', $table ], [ $target, $as, $table ];
        ok($want eq $have, "$as.$table is the same") or Weir::Replay::show_difference($want, $have);
    }
}
like($weir->wait_log(qr/copy: .*shop\.more is parked/), qr/column must/, 'a column that wants a value: said which');
like($weir->wait_log(qr/copy: .*shop\.nulls is parked/), qr/\bat\b/, 'NULL does not become the time of day');
$t->done;
