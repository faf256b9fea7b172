# kill -9 of Weir and of the target under load, and answers to COMMIT that are
# lost on the way: each transaction is in the target once.
use Weir;
use Weir::Cut;
use Weir::Load;
use Weir::Replay;
use Time::HiRes qw(sleep);

my $rounds = $ENV{WEIR_KILLS} // 3;
my $t      = Weir->new;
my $db     = $t->database;
my $target = replay_target($t, cnf => 'innodb_flush_log_at_trx_commit = 1');
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 2)->create_tables;
copy_definitions($db, $target, 'shop', $_) for qw(shop shop_cut);
my $cut = Weir::Cut->new($t, to => $target->port, pattern => qr/; COMMIT/, every => 15);
my $config = replay_sinks($db, $target,
    copy => [ 'events = 30', '' ],
    cut  => [ 'events = 10 lanes = 2', 'database = "{database}_cut"' ]);
my $port = $cut->port;
$config =~ s/(sink cut.*?port = )\d+/$1$port/s;
my $weir = $t->weir(config => $config)->start;
$t->expect_log(qr/killed by signal 9|signal 9|crash/i);

sub check
{
    my ($when) = @_;
    for my $as (qw(shop shop_cut)) {
        wait_replayed($db, $target, $as);
        same_tables($db, $target, 'shop', $when, $as);
    }
    return;
}

$load->start;
for my $round (1 .. $rounds) {
    sleep rand 0.3;    # the moment is the point
    $weir->crash_worker($_) for 'sink shop/copy', 'sink shop/cut';
    sleep rand 0.3;
    $weir->crash;
    $weir->start;
    ok($cut->wait_cut, "round $round: an answer to COMMIT was lost");
    if ($round <= ($rounds >= 40 ? 10 : 1)) {
        $target->crash;
        $target->start;
    }
    next if $round % 10;
    $load->stop;
    check("round $round");
    $load->start;
}
$load->stop;
check("after $rounds rounds");
cmp_ok($weir->log_count(qr{shop/cut: .*(?:Lost connection|gone away|closed)}i), '>', 0,
    'what became of a COMMIT was looked up');
$cut->stop;
$t->done;
