# kill -9 of Weir and of the target under a load whose tables depend on each
# other: foreign keys with cascades, unique values that change places, hot rows,
# a journal without a key; 1, 2 and 4 lanes, merged and as they were.  A reader
# never sees half a transfer, and in the end each transaction is there once.
use Weir;
use Weir::Bank;
use Weir::Replay;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{WEIR_KILLS} // (long_run() ? 40 : 3);
my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t, cnf => 'innodb_flush_log_at_trx_commit = 1');
$db->make_weir_user;
my $cascades = $db->logs_cascades ? 'foreign_keys = off' : '';
my %way = (
    merge1  => [ 'events = 60', '' ],
    upsert2 => [ 'events = 20 lanes = 2', 'conflict = idempotent' ],
    keep4   => [ 'events = 40 lanes = 4', 'transactions = keep' ],
);
my @ways = sort keys %way;
my $bank = Weir::Bank->new($db, pause_ms => 3)->create_tables;
copy_definitions($db, $target, 'shop', "shop_$_") for @ways;
my $weir = $t->weir(config => replay_sinks($db, $target,
    map { $_ => [ $way{$_}[0], qq(database = "{database}_$_" $cascades $way{$_}[1]) ] } @ways))->start;
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);

sub check
{
    my ($when) = @_;
    for my $as (map { "shop_$_" } @ways) {
        wait_replayed($db, $target, $as);
        same_tables($db, $target, 'shop', $when, $as);
    }
    return;
}

my $begin  = time;
my $reader = $bank->open_accounts->reader($target, map { "shop_$_" } @ways);
my ($of_weir, $of_workers, $of_target) = (0, 0, 0);
$bank->start;
for my $round (1 .. $rounds) {
    sleep rand 0.4;    # the moment is the point
    $of_workers += map { $weir->crash_worker("sink shop/$_") } @ways;
    sleep rand 0.4;
    $weir->crash;
    $of_weir++;
    $weir->start;
    if ($round % 4 == 1 && $of_target < ($rounds >= 40 ? 10 : 1)) {
        $target->crash;
        $target->start;
        $of_target++;
    }
    next if $round % 10;
    $bank->stop;
    check("after round $round");
    $bank->start;
}
$bank->stop->big_transaction(3000)->run(20);
check("after $rounds rounds");
my ($sums, $wrong) = $reader->();
cmp_ok($sums, '>', 20, 'the reader read');
is($wrong, '', 'and never saw half a transfer');
is($weir->log_count(qr/park|refused|dead letter/i), 0, 'nothing was refused');
diag sprintf '%d kills of Weir, %d of its workers, %d of the target; %d transactions, %d sums, seed %d, %.0f s',
    $of_weir, $of_workers, $of_target, $bank->{n}, $sums, seed(), time - $begin;
$t->done;
