# The state directory is lost: the sinks that keep a checkpoint belong to the
# old one and stop, saying so; with adopt they go on, nothing is lost or
# repeated, and seq still grows.
use Weir;
use Weir::Load;
use Weir::Shop;
use File::Path qw(remove_tree);

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables->run(200);
my $weir = $t->weir(config => shop_config($db, $redis, $dir))->start;
wait_synced($db, $redis, $dir);
my @before = Weir::Shop::seq_values(ledger_path($dir));
$weir->stop;

# The relay and the checkpoint copies; the module's own files are the sink's
# store, as Redis is.
remove_tree($weir->state . '/shop/relay');
unlink $weir->state . '/shop/id', glob $weir->state . '/shop/*/checkpoint';
$load->run(50);
$t->expect_log(qr/belongs to/);
$weir->start;
like($weir->wait_log(qr/belongs to/), qr/adopt/, 'what to do is said');
$weir->wait_state($_, 'stopped') for qw(users orders ledger);
$weir->stop;

my $config = shop_config($db, $redis, $dir, users => 'adopt = on', ledger => 'adopt = on');
$config =~ s/(tables = \{"shop.orders"\})/$1  adopt = on/;
$weir->write_config($config);
$weir->start;
wait_synced($db, $redis, $dir);
check_shop($db, $redis, $dir, 'adopted');
my @after = Weir::Shop::seq_values(ledger_path($dir));
cmp_ok(scalar @after, '>', scalar @before, 'rows came');
cmp_ok($after[ scalar @before ], '>', $before[-1], 'seq grew over the loss');
$t->done;
