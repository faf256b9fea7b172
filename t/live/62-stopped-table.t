# A row that a sink can't take stops that sink, with the table, the reason and
# what to do; the others go on; mended and restarted, it goes on too.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
$t->make_dir('files');
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, k INT)');
my ($source, $port) = (shop_source($db), $redis->port);
my $config = <<"EOT";
pipeline shop {
    $source
    sink cache { redis { host = "127.0.0.1"  port = $port  key = "t:{k}" } }
    sink lines { file { root = "$dir/files"  path = "t.jsonl" } }
}
EOT
my $weir = $t->weir(config => $config)->start;
$db->do('INSERT INTO shop.t VALUES (1, 10)');
wait_for('a row', 30, sub { $redis->ask('EXISTS', 't:10') });

$t->expect_log(qr/shop\/cache/);
$db->do('INSERT INTO shop.t VALUES (2, NULL)', 'INSERT INTO shop.t VALUES (3, 30)');
my $line = $weir->wait_log(qr/ error .*shop\/cache/);
like($line, qr/shop\.t/, 'a NULL in the key: the table is named');
like($line, qr/NULL/,    'and the reason');
$weir->wait_state('cache', 'stopped');
my $inserts = sub {
    return scalar grep { /"operation":"insert"/ } Weir::Server::lines_of("$dir/files/t.jsonl");
};
wait_for('the other sink', 20, sub { $inserts->() == 3 });

$config =~ s/t:\{k\}/t:{i}/;
my ($exit, $said) = $weir->reload($config);
is($exit, 0, 'mended') or diag $said;
wait_for('what stood behind it', 30, sub { $redis->ask('EXISTS', 't:3') });
is_deeply($redis->hash('t:2'), { i => 2 }, 'the row itself');
is($inserts->(), 3, 'the other sink repeats nothing');

# A column that is gone from the table that the key is made of.
$db->do('ALTER TABLE shop.t CHANGE i j INT', 'INSERT INTO shop.t VALUES (4, 40)');
$line = $weir->wait_log(qr/ error .*shop\/cache.*\bi\b/, from => $weir->log_mark - 5);
like($line, qr/shop\.t/, 'a template without its column names the table');
$t->done;
