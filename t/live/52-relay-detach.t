# full = detach: a sink that is away for too long is let go of, and says so;
# the others miss nothing.  Its window is small: what it holds in memory it has
# read, and would write after all.
use Weir;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(1000))');
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    relay { size = 4m  segment = 1m  full = detach }
    sink slow { window = 1m  redis { host = "127.0.0.1"  port = $port  key = "t:{i}" } }
    sink fast { file { root = "$dir/files"  path = "t.jsonl"  format = row } }
}
EOT
$db->do("INSERT INTO shop.t VALUES (0, '')");
wait_for('a row', 30, sub { $redis->ask('EXISTS', 't:0') });
$redis->stop;
$t->expect_log(qr/detached|is not here/);
# The other one keeps up, however slow this machine is.
for my $i (1 .. 15) {
    $db->do("INSERT INTO shop.t SELECT seq + $i * 1000, REPEAT('x', 1000)"
            . ' FROM shop.seq_1_to_1000');
    wait_for('these rows in the other sink', 60, sub {
        scalar(Weir::Server::lines_of("$dir/files/t.jsonl")) == 1 + $i * 1000;
    });
}
like($weir->wait_log(qr/detached/, seconds => 60), qr/ error .*slow/,
    'the log says which sink is detached');
pass('the other sink has every row');
unlike($weir->status->{source}{line}, qr/full/, 'the source never waited');
$redis->start;
like($weir->wait_state('slow', 'stopped', 120), qr/./, 'the sink stops');
like($weir->wait_log(qr/error .*is not here/), qr/slow/,
    'and says why');
$t->done;
