# A row of 40 MB arrives whole, in Redis and in a file; a transaction of many
# rows too.
use Weir;
use Weir::Shop;
use Digest::MD5 qw(md5_hex);

my $t     = Weir->new;
$t->make_dir('files');
my $db    = $t->database;
my $redis = $t->redis;
$db->make_weir_user;
$db->do(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.big (id INT PRIMARY KEY, body LONGTEXT)',
    'CREATE TABLE shop.many (id INT PRIMARY KEY, text VARCHAR(60))'
);
my ($source, $port, $dir) = (shop_source($db), $redis->port, $t->dir);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    relay { size = 512m }
    sink big { tables = {"shop.big"} redis { host = "127.0.0.1" port = $port key = "big:{id}" } }
    sink many { tables = {"shop.many"} redis { host = "127.0.0.1" port = $port key = "many:{id}" } }
    sink lines { tables = {"shop.big"} file { root = "$dir/files" path = "big.jsonl" } }
}
EOT
my $unit = 'Weir carries forty megabytes in one row 0123456789 ';
my $n    = int 40_000_000 / length $unit;
$db->do("INSERT INTO shop.big VALUES (1, REPEAT('$unit', $n))");
wait_for('the row', 60, sub { $redis->ask('EXISTS', 'big:1') });
my $body = $redis->ask('HGET', 'big:1', 'body');
is(length $body, $n * length $unit, 'all of it');
is(md5_hex($body), md5_hex($unit x $n), 'unaltered');
wait_for('the line', 60, sub { (-s "$dir/files/big.jsonl" // 0) > length $body });
$db->do("UPDATE shop.big SET body = 'small' WHERE id = 1");
wait_for('the update', 60,
    sub { $redis->ask('HGET', 'big:1', 'body') eq 'small' });

$db->do("INSERT INTO shop.many SELECT seq, CONCAT('row ', seq) FROM " . $db->sequence(100000));
wait_for('the last of many', 60, sub { $redis->ask('EXISTS', 'many:100000') });
my $keys = grep { /^many:/ } @{ $redis->ask('KEYS', 'many:*') };
is($keys, 100000, 'a transaction of 100,000 rows');
$db->do('UPDATE shop.many SET id = id + 1000000');
wait_for('the last key changed', 60, sub { $redis->ask('EXISTS', 'many:1100000') });
is(scalar @{ $redis->ask('KEYS', 'many:*') }, 100000, 'all keys changed');
$t->done;
