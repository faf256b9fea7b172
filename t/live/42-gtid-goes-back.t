# Without gtid_strict_mode a MariaDB may log a sequence number lower than the
# last one of its domain: no position by GTID is sure then, so the source stops.
use Weir;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->mariadb;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)');
my ($dir, $source) = ($t->dir, shop_source($db));
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink lines { file { root = "$dir/files"  path = "t.jsonl"  format = row } }
}
EOT
my $lines = sub { my @lines = Weir::Server::lines_of("$dir/files/t.jsonl"); return scalar @lines };
$db->do('SET gtid_seq_no = 1000; INSERT INTO shop.t VALUES (1)');
wait_for('the first row', 30, sub { $lines->() == 1 });
$t->expect_log(qr/go back in this log/);
$db->do('SET gtid_seq_no = 500; INSERT INTO shop.t VALUES (2)');
like($weir->wait_log(qr/go back in this log/), qr/GTID 0-101-500 comes after 0-101-1000/,
    'the log names both');
$weir->wait_state('source', 'stopped');
is($lines->(), 1, 'and what is unsure is not written');
$t->done;
