# A sink that is away fills the relay: the source waits, says who holds it up,
# and goes on when there is room.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(1000))');
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    relay { size = 4m  segment = 1m }
    sink slow { redis { host = "127.0.0.1"  port = $port  key = "t:{i}" } }
    sink fast { null { } }
}
EOT
$db->do("INSERT INTO shop.t VALUES (0, '')");
wait_for('a row', 30, sub { $redis->ask('EXISTS', 't:0') });
$redis->stop;
for my $i (1 .. 15) {
    $db->do("INSERT INTO shop.t SELECT seq + $i * 1000, REPEAT('x', 1000)"
            . ' FROM shop.seq_1_to_1000');
}
$t->expect_log(qr/full/);
like($weir->wait_log(qr/relay.*full|full.*relay/i, seconds => 60), qr/slow/,
    'the log says that it is full and who holds it');
$weir->wait_state('source', 'full');
my ($kilobytes) = split ' ', `du -sk '@{[ $weir->state ]}/shop/relay'`;
cmp_ok($kilobytes, '<', 12 * 1024, 'the relay stays near its size');
$redis->start;
wait_for('the last row', 120, sub { $redis->ask('EXISTS', 't:16000') });
is($redis->ask('DBSIZE') >= 15001, 1, 'all rows came');
$weir->wait_state('source', 'running');
$t->done;
