# Lanes side by side: who touches a row of one that is not committed yet waits for
# that one; others don't.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
$_->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.items (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE shop.names (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v INT)',
    'INSERT INTO shop.items VALUES ' . join(',', map { "($_, 0)" } 1 .. 20),
    "INSERT INTO shop.names VALUES ('a ', 1), ('B', 1)",
    'CREATE TABLE shop.maybe (a INT, b INT, c INT, UNIQUE (a))', 'INSERT INTO shop.maybe VALUES (NULL, 1, 0)',
    'CREATE TABLE shop.later (id INT PRIMARY KEY, code INT, place INT)', 'INSERT INTO shop.later VALUES (1, 1, 1), (2, 2, 2)')
    for $db, $target;
$target->do('ALTER TABLE shop.names MODIFY name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci');
my $weir = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'lanes = 4 events = 10',
    mysql => 'transactions = keep ddl = apply') =~ s/start = earliest/start = now/r)->start;
$weir->wait_log(qr/ connected to /);

# A table that is new to Weir is looked at by all lanes, which waits for each.
sub meet_all
{
    put_replayed($db, $target, @_, 'UPDATE items SET v = v + 1 WHERE id = 20', "UPDATE names SET v = v + 1",
        'UPDATE maybe SET c = c + 1', 'UPDATE later SET place = place + 10');
    return;
}
meet_all();

my $other = $target->client;
my $dirty = $target->client;
$dirty->do('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');

# One lane is held up by a row of another client's; a second one waits for the
# first, to do $waits then; the others have $more.  When $seen is there,
# uncommitted, the first goes on.
sub beside_held
{
    my ($waits, $more, $seen) = @_;
    $other->do('BEGIN', 'SELECT * FROM shop.items WHERE id = 1 FOR UPDATE');
    $db->do('USE shop', 'UPDATE items SET v = v + 1 WHERE id = 1',
        'BEGIN', 'UPDATE items SET v = v + 1 WHERE id = 1', $waits, 'COMMIT', @$more);
    Weir::wait_for($seen, 30, sub { $dirty->value("SELECT $seen") });
    $other->do('ROLLBACK');
    put_replayed($db, $target);
    return;
}

# A transaction larger than a batch meets such a row in a later part of it.
for my $id (2 .. 6) {
    my $first = $id * 1000;
    my @rows = map { "($_, 0)" } $first .. $first + 30;
    beside_held("DELETE FROM items WHERE id = $id",
        [ 'BEGIN', 'INSERT INTO items VALUES ' . join(',', @rows[0 .. 12], "($id, $id)", @rows[13 .. 30]), 'COMMIT' ],
        "COUNT(*) >= 10 FROM shop.items WHERE id >= $first");
    is($target->value("SELECT v FROM shop.items WHERE id = $id"), $id, 'a row deleted by one, and made again by the other');
}

# What is another key to the source's collation need not be to the target's, and
# trailing spaces make none to either.
my $mark = 100;
for my $pair ([ 'a ', 'a' ], [ 'B', 'b' ]) {
    my ($old, $new) = @$pair;
    $mark++;
    beside_held("DELETE FROM names WHERE name = '$old'",
        [ "INSERT INTO names VALUES ('$new', 2)", "INSERT INTO items VALUES ($mark, 0)" ],
        "COUNT(*) FROM shop.items WHERE id = $mark");
    is($target->value("SELECT v FROM shop.names WHERE name = '$new'"), 2, "'$new' after '$old'");
}

# A row whose log has its key once only is as good as any.
beside_held('UPDATE items SET v = v + 1 WHERE id = 7',
    [ 'SET binlog_row_image = MINIMAL', 'UPDATE items SET v = 70 WHERE id = 8', 'SET binlog_row_image = FULL' ],
    'v = 70 FROM shop.items WHERE id = 8');

# Rows whose only unique key is NULL meet in what they are found by.
beside_held('UPDATE maybe SET b = 2 WHERE b = 1',
    [ 'UPDATE maybe SET b = 3 WHERE b = 2', 'INSERT INTO items VALUES (110, 0)' ],
    'COUNT(*) FROM shop.items WHERE id = 110');

# A key that was not there when the table was met first.
meet_all('CREATE UNIQUE INDEX code ON later (code)');
beside_held('DELETE FROM later WHERE id = 1',
    [ 'INSERT INTO later VALUES (10, 1, 10)', 'INSERT INTO items VALUES (111, 0)' ],
    'COUNT(*) FROM shop.items WHERE id = 111');
same_tables($db, $target, 'shop', 'held up and not');
is($weir->log_count(qr/is parked|Duplicate|next try/), 0, 'nothing was refused or written again');

# One that nobody told of: what is refused beside others is asked again in line.
$target->do('CREATE UNIQUE INDEX place ON shop.later (place)');
beside_held('DELETE FROM later WHERE id = 2',
    [ 'INSERT INTO later VALUES (20, 20, ' . $db->value('SELECT place FROM shop.later WHERE id = 2') . ')',
      'INSERT INTO items VALUES (112, 0)' ],
    'COUNT(*) FROM shop.items WHERE id = 112');
same_tables($db, $target, 'shop', 'asked again');
is($weir->log_count(qr/is parked/), 0, 'nothing was refused');
cmp_ok($weir->log_count(qr/one after the other/), '>=', 1, 'but it was asked again');
$weir->stop;

# A lock that is wider than its row: a value that was there, and is not purged yet,
# is made again by the later of two, which has less to do.  The earlier one can't
# put its own next to it, and the later one waits for its turn.
$db->do('CREATE DATABASE wide', 'USE wide', 'CREATE TABLE ledger (n INT PRIMARY KEY)',
    'CREATE TABLE plain (id INT PRIMARY KEY, v INT)', 'CREATE TABLE users (id INT PRIMARY KEY, code INT UNIQUE)',
    'INSERT INTO plain VALUES ' . join(',', map { "($_, 0)" } 1 .. 4000), 'INSERT INTO users VALUES (50, 50), (60, 60)');
copy_definitions($db, $target, 'wide');
my $wide = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'lanes = 2',
    mysql => 'transactions = keep') =~ s/shop\.\*/wide.*/r =~ s/pipeline shop/pipeline wide/r)->start;
sub wait_wide
{
    my ($n) = @_;
    $db->do("INSERT INTO wide.ledger VALUES ($n)");
    return Weir::wait_for("ledger $n", 60, sub { $target->value("SELECT COUNT(*) FROM wide.ledger WHERE n = $n") });
}
wait_wide(1);
$other->do('START TRANSACTION WITH CONSISTENT SNAPSHOT', 'SELECT COUNT(*) FROM wide.users');    # holds up the purge
$db->do('DELETE FROM wide.users WHERE code = 50');
wait_wide(2);
$db->do('USE wide', 'BEGIN', 'UPDATE plain SET v = v + 1', 'INSERT INTO users VALUES (49, 49)', 'COMMIT',
    'INSERT INTO users VALUES (50, 50)');
wait_wide(3);
$other->do('ROLLBACK');
same_tables($db, $target, 'wide', 'behind a lock wider than its row');
cmp_ok($wide->log_count(qr/next try/), '<=', 1, 'written again in line, so once at most');
$wide->stop;

# Random transactions, from one row to some batches, over few keys: many touch what
# the one before did, many don't.  No table makes all of them wait in line.
my %way = (
    keep   => [ 'lanes = 4 events = 10', 'transactions = keep' ],
    merge  => [ 'lanes = 4 events = 40', '' ],
    two    => [ 'lanes = 2 events = 15', '' ],
    upsert => [ 'lanes = 4 events = 10', 'conflict = idempotent transactions = keep' ],
);
$db->do('CREATE DATABASE mill', 'USE mill', 'CREATE TABLE ledger (n INT PRIMARY KEY)',
    'CREATE TABLE plain (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE, code INT UNIQUE, v INT)',
    'CREATE TABLE pairs (a INT, b VARCHAR(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, v INT, PRIMARY KEY (a, b))',
    'CREATE TABLE parents (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parents (id))');
copy_definitions($db, $target, 'mill', "mill_$_") for sort keys %way;

sub key { return 1 + int rand 60 }

sub change
{
    my ($k, $other, $v) = (key(), key(), int rand 1000);
    my @all = (
        "INSERT IGNORE INTO plain VALUES ($k, $v), ($other, $v)",
        "UPDATE plain SET v = $v WHERE id BETWEEN $k AND " . ($k + 8),
        "UPDATE IGNORE plain SET id = $other WHERE id = $k",
        "DELETE FROM plain WHERE id BETWEEN $k AND " . ($k + 2),
        "INSERT IGNORE INTO users VALUES ($k, 'Name $other', " . ($v % 3 ? $v % 80 : 'NULL') . ", $v)",
        "UPDATE IGNORE users SET name = 'name $other', v = $v WHERE id = $k",
        'UPDATE IGNORE users SET code = ' . ($v % 80) . " WHERE id BETWEEN $k AND " . ($k + 3),
        "UPDATE IGNORE users SET id = $other WHERE id = $k",
        "DELETE FROM users WHERE id BETWEEN $k AND " . ($k + 2),
        "INSERT IGNORE INTO pairs VALUES ($k % 9, '" . ('a', 'A', 'b', "\xc3\xa9", 'c')[ $v % 5 ] . "', $v)",
        "UPDATE IGNORE pairs SET a = a + 1, v = $v WHERE a = $k % 9 ORDER BY a DESC",
        "DELETE FROM pairs WHERE a = $k % 9 AND v > $v",
        "INSERT IGNORE INTO parents VALUES ($k % 20, $v)",
        "INSERT IGNORE INTO children VALUES ($k, $other % 20), ($other, NULL)",
        "UPDATE IGNORE children SET parent = $other % 20 WHERE id BETWEEN $k AND " . ($k + 5),
        "DELETE FROM children WHERE parent = $k % 20",
        "DELETE IGNORE FROM parents WHERE id = $k % 20",
    );
    return $all[ int rand @all ];
}

my ($rounds, $n) = (long_run() ? 40 : 3, 0);
my $mill = $t->weir(config => replay_sinks($db, $target,
    map { $_ => [ $way{$_}[0], qq(database = "{database}_$_" $way{$_}[1]) ] } keys %way) =~ s/shop\.\*/mill.*/gr);
for my $round (1 .. $rounds) {
    $db->do('USE mill', 'SET binlog_row_image = ' . (qw(FULL MINIMAL NOBLOB))[ int rand 3 ],
        map {
            my $size = rand() < 0.1 ? 40 : rand() < 0.5 ? 1 : 4;
            ('BEGIN', (map { change() } 1 .. $size), 'INSERT INTO ledger VALUES (' . ++$n . ')', 'COMMIT')
        } 1 .. 300);
    $mill->start if $round == 1;    # all of the first is there already
}
for my $copy (map { "mill_$_" } sort keys %way) {
    Weir::wait_for("the ledger of $copy", 90, sub { $target->value("SELECT COUNT(*) FROM $copy.ledger") == $n });
    same_tables($db, $target, 'mill', 'after random transactions', $copy);
}
is($mill->log_count(qr/is parked/), 0, 'nothing was refused');
diag "$n random transactions, seed " . Weir::seed() . ', ' . $mill->log_count(qr/next try/) . ' times again';
$t->done;
