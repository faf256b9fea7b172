# kill -9 of Weir and of the target while many rows go as one statement: INSERTs
# that are bound, UPDATEs and DELETEs by position, by list and joined; one lane,
# and two.  A transaction that is written twice, or in part, meets rows that are
# not as they were.
use Weir;
use Weir::Replay;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{WEIR_KILLS} // (long_run() ? 40 : 3);
my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t, cnf => 'innodb_flush_log_at_trx_commit = 1');
$db->make_weir_user;
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'USE shop', 'CREATE TABLE ledger (n INT)',
    'CREATE TABLE numbers (n INT PRIMARY KEY)', 'INSERT INTO numbers VALUES ' . join(',', map { "($_)" } 0 .. 999),
    'CREATE TABLE one (k INT PRIMARY KEY, m INT, a VARCHAR(40), b DECIMAL(12,3), c DATETIME(3))',
    'CREATE TABLE two (k INT, l INT, m INT, a VARCHAR(40), b DOUBLE, PRIMARY KEY (k, l))');
copy_definitions($db, $target, 'shop', $_) for qw(shop_one shop_two);
my $weir = $t->weir(config => replay_sinks($db, $target,
    one => [ '', 'database = "{database}_one"' ],
    two => [ 'events = 700 lanes = 2', 'database = "{database}_two"' ]))->start;
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);

my ($next, $n) = (1, 0);
sub insert_rows
{
    my ($rows, $from) = (20 + int rand 900, $next);
    $next += $rows + int rand 50;
    return ("INSERT INTO one SELECT $from + n, 0, CONCAT('row ', n), n / 7, '2026-01-02 03:04:05.678' FROM numbers WHERE n < $rows",
        "INSERT INTO two SELECT $from + n, n, 0, CONCAT('row ', n), n / 7 FROM numbers WHERE n < $rows");
}

# A range of keys, or some of it here and there.
sub some_rows
{
    my $from = int rand $next;
    my $to   = $from + 20 + int rand 1500;
    my $some = int(rand 2) ? '' : ' AND k % ' . (2 + int rand 3) . ' = 0';
    return "WHERE k BETWEEN $from AND $to$some";
}

sub update_rows
{
    return map { "UPDATE $_ SET m = m + 1, a = IF(k % 9, CONCAT('now ', m), NULL), b = b + 1 " . some_rows() } qw(one two);
}

sub delete_rows { return map { "DELETE FROM $_ " . some_rows() . ' LIMIT 300' } qw(one two) }

sub transaction
{
    my $kind = int rand 10;
    my @sql = $kind < 4 ? insert_rows() : $kind < 8 ? update_rows() : delete_rows();
    $db->do('BEGIN', @sql, $kind % 2 ? update_rows() : (), 'INSERT INTO ledger VALUES (' . ++$n . ')', 'COMMIT');
    return;
}

sub check
{
    my ($when) = @_;
    for my $as (qw(shop_one shop_two)) {
        wait_replayed($db, $target, $as);
        same_tables($db, $target, 'shop', $when, $as);
    }
    return;
}

my $begin = time;
my ($of_weir, $of_workers, $of_target) = (0, 0, 0);
for my $round (1 .. $rounds) {
    transaction() for 1 .. 3 + int rand 8;
    sleep rand 0.1;    # the moment is the point
    $of_workers += map { $weir->crash_worker("sink shop/$_") } qw(one two);
    transaction() for 1 .. 3 + int rand 8;
    sleep rand 0.1;
    $weir->crash;
    $of_weir++;
    $weir->start;
    if ($round % 4 == 1 && $of_target < ($rounds >= 40 ? 10 : 1)) {
        transaction() for 1 .. 5;
        $target->crash;
        $target->start;
        $of_target++;
    }
    check("after round $round") if $round % 10 == 0;
}
check("after $rounds rounds");
is($weir->log_count(qr/is parked|is refused/), 0, 'nothing was refused');
diag sprintf '%d kills of Weir, %d of its workers, %d of the target; %d transactions, %d rows at the end, seed %d, %.0f s',
    $of_weir, $of_workers, $of_target, $n, $db->value('SELECT (SELECT COUNT(*) FROM shop.one) + (SELECT COUNT(*) FROM shop.two)'),
    seed(), time - $begin;
$t->done;
