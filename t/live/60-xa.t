# XA on a captured table stops the pipeline and names the XID; on a table that
# nobody wants it is passed over.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
$t->make_dir('files');
my $db = $t->mariadb;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)',
    'CREATE TABLE shop.other (i INT PRIMARY KEY)');
my ($source, $dir) = (shop_source($db), $t->dir);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink lines { tables = {"shop.t"} file { root = "$dir/files" path = "t.jsonl" } }
}
EOT
my $file = "$dir/files/t.jsonl";
my $lines = sub { return scalar grep { /"operation":"insert"/ } Weir::Server::lines_of($file) };
$db->do('INSERT INTO shop.t VALUES (1)');
wait_for('a row', 30, sub { $lines->() == 1 });

$db->do("XA START 'unwanted'", 'INSERT INTO shop.other VALUES (1)',
    "XA END 'unwanted'", "XA PREPARE 'unwanted'", "XA COMMIT 'unwanted'",
    'INSERT INTO shop.t VALUES (2)');
wait_for('the row behind it', 30, sub { $lines->() == 2 });
pass('XA on a table that nobody wants is passed over');

$db->do("XA START 'order-17'", 'INSERT INTO shop.t VALUES (3)',
    "XA END 'order-17'", "XA PREPARE 'order-17'");
$t->expect_log(qr/XA/);
like($weir->wait_log(qr/ error .*XA/), qr/X'6f726465722d3137'/, 'the XID is named');
$weir->wait_state('source', 'stopped');
$db->do("XA COMMIT 'order-17'", 'INSERT INTO shop.t VALUES (4)');
is($lines->(), 2, 'nothing behind it is written');
$t->done;
