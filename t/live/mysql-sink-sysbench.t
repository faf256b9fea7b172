# sysbench's oltp_read_write on several connections, replayed by one lane and by
# four: CHECKSUM TABLE of each table is the same in the end.
use Weir;
use Weir::Replay;

my $sysbench = Weir::find_program('sysbench')
    or plan(skip_all => 'no sysbench here: apt-get install sysbench');
my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t);
$db->make_weir_user;
my $password = $db->isa('Weir::Mysql') ? 'IDENTIFIED WITH caching_sha2_password BY' : 'IDENTIFIED BY';
$db->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'CREATE TABLE shop.ledger (n INT)',
    "CREATE USER 'bench'\@'%' $password 'secret'", "GRANT ALL ON shop.* TO 'bench'\@'%'");

my ($tables, $rows, $events) = long_run() ? (8, 10000, 40000) : (3, 500, 400);
sub sysbench
{
    my ($what) = @_;
    my $said = `$sysbench oltp_read_write --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port=@{[ $db->port ]} \\
        --mysql-user=bench --mysql-password=secret --mysql-db=shop --tables=$tables --table-size=$rows \\
        --threads=4 --events=$events --time=0 --rand-type=pareto --rand-seed=@{[ seed() ]} $what 2>&1`;
    is($?, 0, "sysbench $what") or diag $said;
    return $said;
}

sysbench('prepare');
my @names = map { "sbtest$_" } 1 .. $tables;
my @ways  = qw(shop shop_four);
copy_definitions($db, $target, 'shop', $_) for @ways;
my $weir = $t->weir(config => replay_sinks($db, $target,
    copy => [ '', '' ],
    four => [ 'lanes = 4 events = 100', 'database = "{database}_four" transactions = keep' ]))->start;
like(sysbench('run'), qr/transactions: +$events /, 'all of its transactions');
$db->do('INSERT INTO shop.ledger VALUES (1)');
for my $as (@ways) {
    wait_replayed($db, $target, $as);
    if (ref $db eq ref $target) {
        for my $name (@names) {
            my ($want, $have) = map { ($_->[0]->rows("CHECKSUM TABLE $_->[1].$name"))[0][1] } [ $db, 'shop' ], [ $target, $as ];
            is($have, $want, "CHECKSUM TABLE $as.$name");
        }
    } else {
        same_tables($db, $target, 'shop', 'in the end', $as);
    }
}
cmp_ok($target->value('SELECT COUNT(*) FROM shop.sbtest1'), '>=', $rows, 'there is something to compare');
$t->done;
