# A MySQL that is too old to be followed: said at once, with what is needed.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database;
$db->make_weir_user;
my $source = shop_source($db);
my $weir = $t->weir(config => "pipeline shop { $source sink s { null { } } }");
$t->expect_log(qr/or later is needed/);
$weir->start;
like($weir->wait_log(qr/ error .*needed/), qr/is MySQL 5\.5\.\S+: 5\.6 or later is needed/,
    'which it is, and which is needed');
$weir->wait_state('source', 'stopped');
$t->done;
