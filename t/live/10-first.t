# The first thing that anybody does: a row in MariaDB, a hash in Redis and a
# line in a file; changed, and deleted.
use Weir;
use Weir::Lines qw(read_lines);

my $t     = Weir->new;
$t->make_dir('files');
my $db    = $t->database;
my $redis = $t->redis;
$db->make_weir_user;
$db->do(
    'CREATE DATABASE shop',
    'CREATE TABLE shop.users (id INT UNSIGNED PRIMARY KEY, name VARCHAR(40),'
        . ' balance DECIMAL(10,2), n BIGINT UNSIGNED, photo VARBINARY(9))',
    "INSERT INTO shop.users VALUES (1, 'before', 0, 0, NULL)"
);
my ($port, $redis_port, $dir) = ($db->port, $redis->port, $t->dir);
my $weir = $t->weir(config => <<"EOT");
pipeline shop {
    source { mysql { host = "127.0.0.1"  port = $port  user = "weir"  password = "secret" } }
    sink cache {
        tables = {"shop.users"}
        redis { host = "127.0.0.1"  port = $redis_port  key = "user:{id}" }
    }
    sink lines { file { root = "$dir/files"  path = "{database}/{table}.jsonl" } }
}
EOT

my ($exit, $said) = $weir->command('-t');
is($exit, 0, '-t is content') or diag $said;
like($said, qr/cache.*exactly-once|cache.*effectively-once/, '-t says what the sinks guarantee');
$weir->start;
like($weir->wait_log(qr/start = now/), qr/ info .*not copied/,
    'start = now: the log says that existing rows are not copied');
$weir->wait_state('source', 'running');

$db->do("INSERT INTO shop.users VALUES"
        . " (2, 'Zoe \\'; --', 12345678.90, 18446744073709551615, x'00ff')");
wait_for('the hash', 20, sub { $redis->ask('EXISTS', 'user:2') });
is_deeply(
    $redis->hash('user:2'),
    {   id      => 2,
        name    => "Zoe '; --",
        balance => '12345678.90',
        n       => '18446744073709551615',
        photo   => "\0\xff",
    },
    'the row is a hash'
);
$db->do('UPDATE shop.users SET name = NULL, balance = -0.01 WHERE id = 2');
wait_for('NULL', 20, sub { !$redis->ask('HEXISTS', 'user:2', 'name') });
is($redis->ask('HGET', 'user:2', 'balance'), '-0.01', 'an update arrives');
$db->do('UPDATE shop.users SET id = 3 WHERE id = 2');
wait_for('the new key', 20, sub { $redis->ask('EXISTS', 'user:3') });
is($redis->ask('EXISTS', 'user:2'), 0, 'the old key went with it');
$db->do('DELETE FROM shop.users WHERE id = 3');
wait_for('the delete', 20, sub { !$redis->ask('EXISTS', 'user:3') });
is($redis->ask('EXISTS', 'user:1'), 0, 'what was there before is not copied');

my $file = "$dir/files/shop/users.jsonl";
wait_for('four lines', 20, sub { -e $file && (() = read_lines($file)) == 4 });
my @events = map { $_->{payload} } read_lines($file);
is(join(' ', map { $_->{operation} } @events), 'insert update update delete',
    'four events');
is($events[0]{after}{n}, '18446744073709551615', '64 bits are exact');
is($events[0]{after}{photo}, 'AP8=', 'binary is base64');
is($events[0]{before}, undef, 'an insert has no before');
is($events[1]{before}{name}, "Zoe '; --", 'an update has one');
is($events[1]{after}{name}, undef, 'NULL is null');
is($events[3]{after}, undef, 'a delete has no after');
is($events[0]{source}{database}, 'shop',  'database');
is($events[0]{source}{table},    'users', 'table');
like($events[0]{source}{position}{gtid}, $db->gtid_pattern, 'gtid');
like($events[0]{metadata}{seq}, qr/^\d{15,19}$/, 'seq');

my ($again, $why) = $weir->command('-g', 'daemon = off');
isnt($again, 0, 'a second start on the same state is refused');
like($why, qr/another weir \(pid \d+\)/, 'with a reason');
$t->done;
