# The same of the connection to a MySQL or MariaDB that is written to: each
# transaction is in the target once, whatever became of an answer.
use Weir;
use Weir::Faults;
use Weir::Load;
use Weir::Proxy;
use Weir::Replay;
use List::Util qw(shuffle);
use Time::HiRes qw(sleep);

my $rounds = long_run() ? 12 : 1;
my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t, cnf => 'innodb_flush_log_at_trx_commit = 1');
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 4)->create_tables;
copy_definitions($db, $target, 'shop');
my $marks = 0;
my $wire  = Weir::Faults->new(name => 'target', proxy => Weir::Proxy->new($t, $target->port),
    given_up => 2, arrives => \&arrives);
my $weir = $t->weir(config => replay_sinks($db, $wire->{proxy},
    copy => [ 'events = 30', 'timeout = 2s  connect_timeout = 1s' ]))->start;
diag 'seed ' . seed() . ", $rounds rounds";

# What is committed from now on.
sub arrives
{
    my $what = 'mark ' . ++$marks;
    $db->do("INSERT INTO shop.ledger VALUES (0, '$what')");
    Weir::wait_for("$what in the target", 60,
        sub { $target->value("SELECT COUNT(*) FROM shop.ledger WHERE what = '$what'") });
    return;
}

$load->start;
for my $round (1 .. $rounds) {
    $wire->do($_) for shuffle Weir::Faults::kinds();
    next if $round % 4;
    $load->stop;
    wait_replayed($db, $target);
    same_tables($db, $target, 'shop', "round $round");
    $load->start;
}
my $n = $load->stop;
wait_replayed($db, $target);
same_tables($db, $target, 'shop', "after $n transactions");

# A path that dies while a transaction is open there: its locks, that of the
# checkpoint among them, are not held for as long as a server waits by default.
# A TRUNCATE may take its time; what comes behind it may not.
$_->do('CREATE TABLE shop.held (i INT PRIMARY KEY, n INT)') for $target, $db;
$db->do('TRUNCATE shop.held', 'INSERT INTO shop.held VALUES (1, 1)');
arrives();
my $other = $target->client;
$other->do('BEGIN', 'SELECT * FROM shop.held FOR UPDATE');
$db->do('UPDATE shop.held SET n = 2');
wait_for('the sink waits for the row', 30, sub {
    sleep 0.15;    # asked for more often, the server says the same again
    return $target->value(q(SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'));
});
$wire->{proxy}->freeze;
$other->do('ROLLBACK');
$wire->half_open;
$wire->arrived('half open within a transaction');
same_tables($db, $target, 'shop', 'after a path that died within a transaction');
$wire->report;
$t->done;
