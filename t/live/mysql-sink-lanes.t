# Lanes side by side: who touches a row of one that is not committed yet waits for
# that one; others don't.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.items (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE shop.names (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, v INT)',
    'INSERT INTO shop.items VALUES ' . join(',', map { "($_, 0)" } 1 .. 20),
    "INSERT INTO shop.names VALUES ('a ', 1), ('B', 1)");
copy_definitions($db, $target, 'shop');
$target->do('ALTER TABLE shop.names MODIFY name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci');
my $weir = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'lanes = 4 events = 10',
    mysql => 'transactions = keep'))->start;
put_replayed($db, $target);

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

same_tables($db, $target, 'shop', 'at the end');
is($weir->log_count(qr/is parked|Duplicate|next try/), 0, 'nothing was refused or written again');
$t->done;
