# Lanes side by side: a transaction larger than a batch meets, in a later part of
# it, a row of one that is not committed yet, and waits for that one.
use Weir;
use Weir::Replay;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (n INT)',
    'CREATE TABLE shop.items (id INT PRIMARY KEY, v INT)',
    'INSERT INTO shop.items VALUES ' . join ',', map { "($_, 0)" } 1 .. 10);
copy_definitions($db, $target, 'shop');
my $weir = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'lanes = 3 events = 10',
    mysql => 'transactions = keep'))->start;
put_replayed($db, $target);

my $other = $target->client;
my $dirty = $target->client;
$dirty->do('SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
for my $id (2 .. 6) {
    my $first = $id * 1000;
    # The first transaction is held up, the second waits for it, the third is large.
    $other->do('BEGIN', 'SELECT * FROM shop.items WHERE id = 1 FOR UPDATE');
    $db->do('USE shop', 'UPDATE items SET v = v + 1 WHERE id = 1',
        'BEGIN', 'UPDATE items SET v = v + 1 WHERE id = 1', "DELETE FROM items WHERE id = $id", 'COMMIT',
        'BEGIN', 'INSERT INTO items VALUES ' . join(',', map { "($_, 0)" } $first .. $first + 12),
        "INSERT INTO items VALUES ($id, $id)",
        'INSERT INTO items VALUES ' . join(',', map { "($_, 0)" } $first + 13 .. $first + 30), 'COMMIT');
    Weir::wait_for('the first part of the large one', 30, sub {
        return $dirty->value("SELECT COUNT(*) FROM shop.items WHERE id >= $first") >= 10;
    });
    is($target->value("SELECT COUNT(*) FROM shop.items WHERE id >= $first"), 0, 'of which readers see nothing');
    $other->do('ROLLBACK');
    put_replayed($db, $target);
    is($target->value("SELECT v FROM shop.items WHERE id = $id"), $id, 'a row deleted by one, and made again by the other');
}
same_tables($db, $target, 'shop', 'at the end');
is($weir->log_count(qr/is parked|Duplicate|next try/), 0, 'nothing was refused or written again');
$t->done;
