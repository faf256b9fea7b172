# Twenty reloads under load, each second one with a broken configuration:
# nothing is lost or repeated, a broken one changes nothing and says why.
use Weir;
use Weir::Load;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $dir  = $t->dir;
$t->make_dir('late');
my $weir = $t->weir(config => shop_config($db, $redis, $dir))->start;
$t->expect_log(qr/reload|configuration|weir\.conf/);

my @broken = (
    [ 'pipeline shop {', qr/weir\.conf:\d+: / ],
    [ shop_config($db, $redis, $dir, more => 'sink x { nul { } }'), qr/null/ ],
    [   shop_config($db, $redis, $dir, relay => 'size = many'),
        qr/weir\.conf:\d+: .*size/
    ],
    [   shop_config($db, $redis, $dir, more => 'sink users { null { } }'),
        qr/weir\.conf:\d+: .*users/
    ],
);

$load->start;
my $source = $weir->wait_worker('source shop');
my $orders = $weir->wait_worker('sink shop/orders');
my $users;
for my $round (1 .. 10) {
    $users = $weir->wait_worker('sink shop/users');
    my ($exit, $said) = $weir->reload(
        shop_config(
            $db, $redis, $dir,
            users => 'events = ' . (10 * $round),
            more  => $round % 3 == 0 ? 'sink extra { tables = {"shop.users"} null { } }' : ''
        )
    );
    is($exit, 0, "reload $round") or diag $said;
    $weir->wait_worker('sink shop/users', $users);
    my ($text, $why) = @{ $broken[ $round % @broken ] };
    $users = $weir->wait_worker('sink shop/users');
    ($exit, $said) = $weir->reload($text);
    isnt($exit, 0, "broken reload $round fails");
    like($said, $why, 'and says why');
    is($weir->worker_pid('sink shop/users'), $users, 'and changes nothing');
}
is($weir->worker_pid('source shop'), $source, 'the source ran untouched');
is($weir->worker_pid('sink shop/orders'), $orders, 'an unchanged sink too');

# A sink that appears, and goes.
my ($exit) = $weir->reload(shop_config($db, $redis, $dir,
        more => "sink late { start = now  tables = {\"shop.ledger\"}"
            . " file { root = \"$dir/late\"  path = \"l.jsonl\" } }"));
is($exit, 0, 'a sink more');
$weir->wait_worker('sink shop/late');
wait_for('it writes', 30, sub { -s "$dir/late/l.jsonl" });
($exit) = $weir->reload(shop_config($db, $redis, $dir));
is($exit, 0, 'and gone again');
wait_for('its worker ends', 30, sub { !$weir->worker_pid('sink shop/late') });

$load->stop;
wait_synced($db, $redis, $dir);
check_shop($db, $redis, $dir, 'after 22 reloads');
$t->done;
