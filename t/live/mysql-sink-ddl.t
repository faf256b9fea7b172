# Statements of the source, and where rows go: TRUNCATE, ddl = apply, ignore and
# stop, a crash between a statement and its checkpoint, names by template,
# columns that the target lacks or that transforms leave out, and what the test
# of the configuration refuses.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
my @begin = ('CREATE DATABASE shop CHARACTER SET utf8mb4', 'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.named (id INT PRIMARY KEY, b INT, c INT)');
$_->do(@begin) for $db, $target;
$target->do('CREATE DATABASE shop_few CHARACTER SET utf8mb4', 'CREATE TABLE shop_few.ledger (n INT)',
    'CREATE TABLE shop_few.wide (id INT PRIMARY KEY, b INT, extra INT DEFAULT 5)',
    'CREATE DATABASE all_of_it CHARACTER SET utf8mb4',
    'CREATE TABLE all_of_it.shop_named (id INT PRIMARY KEY, renamed INT)');
my $begin = $db->gtids;
my %sinks = (
    copy => [ '', 'ddl = apply' ],
    few  => [ 'events = 10', 'database = "{database}_few" columns = matching' ],
    all  => [ 'transform columns { columns { keep = {"*.id", "*.b"} rename = {"*.b=renamed"} } }',
        'database = "all_of_it" table = "{database}_{table}" ddl = stop' ],
);

# ---- The test of a configuration

sub said_of
{
    my ($settings) = @_;
    my $weir = $t->weir(config => replay_config($db, $target, $t->dir, mysql => $settings));
    my ($exit, $said) = $weir->command('-t');
    return "$exit $said";
}
for my $case (
    [ 'ddl = apply table = "x_{table}"', qr/^1 .*ddl = apply: the statements say the source's names/s ],
    [ 'ddl = apply two_way = on', qr/^1 .*can't be marked/s ],
    [ 'table = "{id}"', qr/^1 .*only \{database\} and \{table\}/s ],
    [ 'database = ""', qr/^1 /s ],
    [ 'tls_cert = "/x" tls = on', qr/^1 .*tls_cert and tls_key: one of them is missing/s ],
    [ 'password_file = "x"', qr/^1 .*give only one/s ],
    [ 'two_way = on split = on', qr/^0 .*exactly-once/s ],
) {
    like(said_of($case->[0]), $case->[1], "-t: $case->[0]");
}

# ---- Statements

my $config = replay_sinks($db, $target, %sinks) =~ s/(sink all \{\s+tables = )\{.*?\}/$1\{"shop.named"}/r
    =~ s/(sink few \{\s+tables = )\{.*?\}/$1\{"shop.wide"}/r
    =~ s/start = earliest/start = "gtid:$begin"/r;
my $weir = $t->weir(config => $config)->start;
my $n = 0;
sub put
{
    my (@sql) = @_;
    $db->do(@sql, 'INSERT INTO shop.ledger VALUES (' . ++$n . ')');
    wait_replayed($db, $target);
    return;
}
$t->expect_log(qr/is parked|ddl = stop|already exists/);
put('INSERT INTO shop.named VALUES (1, 2, 3)', 'UPDATE shop.named SET b = 4, c = 5');
put('CREATE TABLE shop.wide (id INT PRIMARY KEY, a INT, b INT, c INT)', 'INSERT INTO shop.wide VALUES (1, 2, 3, 4), (2, 2, 3, 4)',
    'UPDATE shop.wide SET a = 5 WHERE id = 1', 'ALTER TABLE shop.wide ADD COLUMN d VARCHAR(20) AFTER id, DROP COLUMN c',
    "INSERT INTO shop.wide VALUES (3, 'x', 1, 2)",
    'CREATE TABLE shop.parent (id INT PRIMARY KEY)', 'CREATE TABLE shop.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))',
    'INSERT INTO shop.parent VALUES (1), (2)', 'INSERT INTO shop.child VALUES (1, 1)');
same_tables($db, $target, 'shop', 'after CREATE and ALTER');
put('ALTER TABLE shop.wide ADD UNIQUE (d)', "UPDATE shop.wide SET d = CONCAT('v', id)",
    'BEGIN', "UPDATE shop.wide SET d = 'free' WHERE id = 1", "UPDATE shop.wide SET d = 'v1' WHERE id = 2",
    "UPDATE shop.wide SET d = 'v2' WHERE id = 1", 'COMMIT');
same_tables($db, $target, 'shop', 'after a key was added');
put('DELETE FROM shop.child', 'SET foreign_key_checks = 0', 'TRUNCATE shop.parent', 'SET foreign_key_checks = 1',
    'INSERT INTO shop.parent VALUES (7)', 'RENAME TABLE shop.wide TO shop.broad', 'TRUNCATE shop.broad',
    'INSERT INTO shop.broad VALUES (9, NULL, 1, 1)', 'DROP TABLE shop.child');
same_tables($db, $target, 'shop', 'after TRUNCATE, RENAME and DROP');
is($target->value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'child' AND TABLE_SCHEMA = 'shop'"), 0, 'what was dropped is gone');
wait_for('columns = matching', 30, sub { $target->value('SELECT COUNT(*) FROM shop_few.wide') == 3 });
is(join(',', map { join ' ', @$_ } $target->rows('SELECT id, b, extra FROM shop_few.wide ORDER BY id')),
    '1 3 5,2 3 5,3 2 5', 'columns = matching, into a database by template');
like($weir->wait_log(qr/columns = matching/), qr/has no column a: it is left out/, 'and it says what is left out');

put('ALTER TABLE shop.named DROP COLUMN c', 'INSERT INTO shop.named VALUES (2, 2)');
like($weir->wait_log(qr/shop\/all: .*(?:parked|stopped)/), qr/ddl = stop, and the source's definition changed.*the statement is: /,
    'ddl = stop: says which statement');
is(join(',', map { join ' ', @$_ } $target->rows('SELECT * FROM all_of_it.shop_named')), '1 4',
    'what stood before it went by its name there, and nothing behind it');

# ---- A statement that is done, and a checkpoint that does not get there

$target->do('CREATE TRIGGER weir.hold BEFORE UPDATE ON weir.weir_checkpoint FOR EACH ROW
    SET NEW.data = IF(OLD.intent <> 0 AND NEW.intent = 0, NULL, NEW.data)');
my $mark = $weir->log_mark;
$db->do('ALTER TABLE shop.broad ADD COLUMN late INT', 'INSERT INTO shop.ledger VALUES (' . ++$n . ')');
like($weir->wait_log(qr/applied before/, from => $mark), qr/a statement was applied before the last stop: .*late/,
    'it is run again, and that it is so already is fine');
$target->do('DROP TRIGGER weir.hold');
wait_replayed($db, $target);
is($target->value("SELECT COUNT(*) FROM shop.ledger WHERE n = $n"), 1, 'what stands behind it came once');
same_tables($db, $target, 'shop', 'at the end');
is($target->value("SELECT intent FROM weir.weir_checkpoint WHERE id LIKE '%copy'"), 0, 'a note does not stay');
# ---- Killed before the statement was done, and behind it: it is done once, even
# where doing it twice would be no error

$t->expect_log(qr/killed by signal 9|signal 9|crash/i);
put('CREATE TABLE shop.ours (id INT PRIMARY KEY)', 'CREATE TABLE shop.theirs (id INT PRIMARY KEY, who INT)',
    'INSERT INTO shop.ours VALUES (1)', 'INSERT INTO shop.theirs VALUES (2, 2)');
if (!$db->isa('Weir::Mysql')) {    # which has statement and rows in one transaction
    put('CREATE TABLE shop.copied (PRIMARY KEY (id)) AS SELECT id FROM shop.theirs', 'UPDATE shop.copied SET id = id + 5');
    same_tables($db, $target, 'shop', 'after CREATE TABLE from a SELECT');
}
my $blocker = $target->client;
for my $case (
    [ 'RENAME TABLE shop.ours TO shop.x, shop.theirs TO shop.ours, shop.x TO shop.theirs', 'ours' ],
    [ 'ALTER TABLE shop.ours ADD COLUMN twice INT', 'ours' ],
    [ 'ALTER TABLE shop.ours ADD INDEX (twice)', 'ours' ],
    [ 'ALTER TABLE shop.ours ADD COLUMN b INT DEFAULT 1, ADD COLUMN c INT DEFAULT 2', 'ours' ],
    [ 'ALTER TABLE shop.ours CHANGE b c INT, CHANGE c b INT', 'ours' ],
) {
    my ($sql, $table) = @$case;
    for my $done (0, 1) {
        my $noted = sub { $target->value("SELECT intent <> 0 FROM weir.weir_checkpoint WHERE id LIKE '%copy'") };
        if ($done) {    # it is, and its checkpoint does not get there
            $target->do('CREATE TRIGGER weir.hold BEFORE UPDATE ON weir.weir_checkpoint FOR EACH ROW
                SET NEW.data = IF(OLD.intent <> 0 AND NEW.intent = 0, NULL, NEW.data)');
        } else {        # it waits for a lock on the table
            $blocker->do("LOCK TABLES shop.$table READ");
        }
        my $from = $weir->log_mark;
        $db->do($sql, 'INSERT INTO shop.ledger VALUES (' . ++$n . ')');
        if ($done) {
            $weir->wait_log(qr/shop\/copy: .*next try/, from => $from);
            $weir->crash;
            $target->do('DROP TRIGGER weir.hold');
        } else {
            wait_for('the note', 30, $noted);
            my $id = wait_for('the statement', 30, sub { $target->value("SELECT MAX(id) FROM information_schema.PROCESSLIST
                WHERE user = 'replay' AND state LIKE '%metadata lock%'") });
            $weir->crash;
            $target->client->try("KILL $id");
            wait_for('its end', 30, sub { !$target->value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE id = $id") });
            $blocker->do('UNLOCK TABLES');
        }
        $weir->start;
        wait_replayed($db, $target);
        is($target->value("SELECT COUNT(*) FROM shop.ledger WHERE n = $n"), 1, 'what stands behind it came once');
        my @defined = map { ($_->rows("SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION), (SELECT COUNT(*) FROM information_schema.STATISTICS
            WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'ours') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'ours'"))[0] } $db, $target;
        is("@{ $defined[1] }", "@{ $defined[0] }", ($done ? 'killed behind' : 'killed before') . ": $sql");
        same_tables($db, $target, 'shop', 'and');
        $sql = $sql =~ /ADD COLUMN twice/ ? 'ALTER TABLE shop.ours ADD COLUMN more INT'
            : $sql =~ /ADD INDEX/ ? 'ALTER TABLE shop.ours ADD INDEX (more)'
            : $sql =~ /ADD COLUMN b/ ? 'ALTER TABLE shop.ours ADD COLUMN d INT' : $sql;
    }
}
$target->do('CREATE TABLE shop.taken (i INT)');
$db->do('CREATE DATABASE other', 'CREATE TABLE other.t (i INT)', 'DROP DATABASE other', 'CREATE TABLE shop.taken (k INT PRIMARY KEY)');
like($weir->wait_log(qr/shop\/copy: .*shop\.taken/), qr/already exists.*the statement is: CREATE TABLE shop.taken/,
    'without a note, it is refused');
is($target->value("SELECT intent FROM weir.weir_checkpoint WHERE id LIKE '%copy'"), 0, 'and leaves none');
$t->done;
