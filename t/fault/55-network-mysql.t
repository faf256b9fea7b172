# The same of the connection to a MySQL or MariaDB that is written to: each
# transaction is in the target once, whatever became of an answer.
use Weir;
use Weir::Faults;
use Weir::Load;
use Weir::Proxy;
use Weir::Replay;
use List::Util qw(shuffle);

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
$wire->report;
$t->done;
