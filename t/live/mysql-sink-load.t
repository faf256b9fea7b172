# A random bank replayed by many sinks at once, each in its own way and into its
# own database: foreign keys, cascades, unique values swapped within a
# transaction, hot rows, a transaction larger than a batch.  A reader sums the
# balances all the while and never sees half a transfer; at the end all hold the
# same.
use Weir;
use Weir::Replay;
use Weir::Bank;

my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;

# database => the sink's own settings, those of the module
my %way = (
    merge   => [ 'events = 200', '' ],
    keep    => [ 'events = 50', 'transactions = keep' ],
    upsert  => [ 'events = 200', 'conflict = idempotent' ],
    upkeep  => [ 'events = 7', 'conflict = idempotent transactions = keep' ],
    split   => [ 'events = 40', 'split = on' ],
    lanes2  => [ 'events = 20 lanes = 2', '' ],
    lanes4  => [ 'lanes = 4', 'transactions = keep' ],
);
my @ways = sort keys %way;
# MySQL from 9.6 logs what its cascades do, so that a target need not do it again.
my $cascades = $db->logs_cascades ? 'foreign_keys = off' : '';
my $bank = Weir::Bank->new($db);
$bank->create_tables;
copy_definitions($db, $target, 'shop', "shop_$_") for @ways;
my $weir = $t->weir(config => replay_sinks($db, $target,
    map { $_ => [ $way{$_}[0], qq(database = "{database}_$_" $cascades $way{$_}[1]) ] } @ways));

my $count = long_run() ? 20000 : 600;
my $reader = $bank->reader($target, map { "shop_$_" } grep { $_ ne 'split' } @ways);
$bank->open_accounts->run($count / 2);
$weir->start;
$bank->run($count / 2)->big_transaction(3000)->run(20);
wait_replayed($db, $target, "shop_$_") for @ways;
same_tables($db, $target, 'shop', 'at the end', "shop_$_") for @ways;
my ($sums, $wrong) = $reader->();
cmp_ok($sums, '>', 20, 'the reader read');
is($wrong, '', 'and never saw half a transfer');
is($weir->log_count(qr/park|refused|dead letter/i), 0, 'nothing was refused');
$t->done;
