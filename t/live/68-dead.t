# Dead letters: the row is put aside and its table goes on; mended, it is sent
# again, but never over a newer version.  Left out where the sink says skip; and
# what is put aside has a bound.
use Weir;
use Weir::Shop;

my $t = Weir->new;
$t->make_dir('files');
my $db    = $t->mariadb;
my $redis = $t->redis;
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, k INT)',
    'CREATE TABLE shop.big (i INT PRIMARY KEY, k INT, v TEXT)');
my ($source, $port) = (shop_source($db), $redis->port);
my $config = <<"EOT";
pipeline shop {
    $source
    sink cache {
        tables = {"shop.t"}  on_reject = dead_letter
        redis { host = "127.0.0.1"  port = $port  key = "t:{k}" }
    }
    sink lossy {
        tables = {"shop.t"}  on_reject = skip
        file { root = "$dir/files"  path = "{k}.jsonl" }
    }
    sink small {
        tables = {"shop.big"}  aside = 64k
        file { root = "$dir/files"  path = "big-{k}.jsonl" }
    }
}
EOT
my $weir = $t->weir(config => $config)->start;

# Redis has the first one before what it refused along with it is put aside, and
# the second one behind that.
sub passed
{
    for my $i ($_[0], $_[0] + 1000) {
        $db->do("INSERT INTO shop.t VALUES ($i, $i)");
        wait_for("$i in Redis", 30, sub { $redis->ask('EXISTS', "t:$i") });
        wait_for("$i in a file", 30, sub { -s "$dir/files/$i.jsonl" });
    }
    return;
}

$redis->ask('SET', 't:5', 'in the way');
$db->do('INSERT INTO shop.t VALUES (1, 1)', 'INSERT INTO shop.t VALUES (2, NULL)',
    'INSERT INTO shop.t VALUES (3, 3)', 'INSERT INTO shop.t VALUES (4, NULL)',
    'INSERT INTO shop.t VALUES (5, 5)', 'UPDATE shop.t SET k = 44 WHERE i = 4',
    'UPDATE shop.t SET k = 45 WHERE i = 4');
passed(100);
is(join(' ', map { $redis->ask('EXISTS', "t:$_") } 1, 3, 45), '1 1 1', 'the table goes on');
$weir->crash_worker('sink shop/cache');
$t->expect_log(qr/died of signal 9/);
passed(101);
my ($status, $said) = $weir->ctl('dead', 'list', '--json');
is($status, 0, 'dead list');
my @ids = $said =~ /"id":"(\d+)"/g;
is(scalar @ids, 4, 'each once') or diag $said;
like($said, qr/NULL.*WRONGTYPE/s, 'with what Redis, or the template, said');
like($weir->status_text, qr/weirctl dead list/, 'status points to them');
is($weir->status->{cache}{state}, 'running', 'and the sink runs');
($status, $said) = $weir->ctl('dead', 'show', 'cache', $ids[0]);
like($said, qr/"after":\{"i":2,"k":null\}.*"raw":"[0-9a-f]+"/, 'dead show');
is(scalar(glob "$dir/files/%*"), undef, 'skip leaves rows out');
$weir->wait_log(qr{ warn \d+ shop/lossy: skipped: });

# One by its number, when the cause is mended.
my ($wrong) = grep { ($weir->ctl('dead', 'show', 'cache', $_))[1] =~ /WRONGTYPE/ } @ids;
($status, $said) = $weir->ctl('dead', 'replay', 'cache', $wrong);
is($status, 1, 'not mended: refused again');
like($said, qr/WRONGTYPE/, 'and why');
# One that is still refused is not in the way of the others.
$redis->ask('SET', 't:7', 'in the way');
$db->do('INSERT INTO shop.t VALUES (7, 7)');
passed(105);
$redis->ask('DEL', 't:7');
($status, $said) = $weir->ctl('dead', 'replay', 'cache', 'all');
is($status, 1, 'all of them, with one that is not mended');
like($said, qr/1 taken, \d+ left.*; 1 refused again, .*WRONGTYPE/, 'says how many');
is_deeply($redis->hash('t:7'), { i => 7, k => 7 }, 'and the one behind it is there');
$redis->ask('DEL', 't:5');
($status, $said) = $weir->ctl('dead', 'replay', 'cache', $wrong);
is($status, 0, 'mended: taken') or diag $said;
is_deeply($redis->hash('t:5'), { i => 5, k => 5 }, 'it is there');
($status, $said) = $weir->ctl('dead', 'replay', 'cache', $wrong);
is($status, 1, 'and is no dead letter any more');

# A row that moved to another key since, one that is gone, one that came back.
$redis->ask('SET', "t:$_", 'in the way') for 20, 22, 24;
$db->do((map { "INSERT INTO shop.t VALUES ($_, $_)" } 20, 22, 24),
    'UPDATE shop.t SET k = 21 WHERE i = 20', 'DELETE FROM shop.t WHERE i IN (22, 24)',
    'INSERT INTO shop.t VALUES (24, 24)');
passed(106);
my %moved = map { $_ => 1 } @ids;
@ids = ($weir->ctl('dead', 'list', '--json'))[1] =~ /"id":"(\d+)"/g;
@ids = grep { !$moved{$_} } @ids;
cmp_ok(scalar @ids, '>=', 3, 'three more letters');
$redis->ask('DEL', $_) for 't:20', 't:22';
for my $id (@ids) {
    ($status, $said) = $weir->ctl('dead', 'replay', 'cache', $id);
    like($said, qr/0 taken, 1 left where they are/, 'an older version is not sent again');
    $weir->ctl('dead', 'discard', 'cache', $id);
}
is(join(' ', map { $redis->ask('EXISTS', "t:$_") } 20, 21, 22), '0 1 0',
    'nothing comes back at the old key, or of the row that is gone');
is_deeply($redis->hash('t:24'), { i => 24, k => 24 }, 'and what came back is as it is');

# All others, by a key that is never NULL: row 4 has changed since.
passed(102);
$config =~ s/t:\{k\}/t:{i}/;
$weir->reload($config);
passed(103);
($status, $said) = $weir->ctl('dead', 'replay', 'cache', 'all');
is($status, 0, 'replay all') or diag $said;
like($said, qr/1 taken, 2 left where they are/, 'not over a newer version');
is_deeply($redis->hash('t:2'), { i => 2 }, 'the one that nothing came behind');
is($redis->ask('EXISTS', 't:4'), 0, 'the others stay');
($status, $said) = $weir->ctl('dead', 'discard', 'cache', 'all');
is($status, 0, 'discard') or diag $said;
($status, $said) = $weir->ctl('dead', 'list');
like($said, qr/no dead letters/, 'none is left');
passed(104);

# The bound.
$t->expect_log(qr/is parked/, qr/shop\/small: stopped/);
$db->do('INSERT INTO shop.big VALUES (1, NULL, NULL)',
    map { "INSERT INTO shop.big VALUES ($_, $_, REPEAT('x', 1000))" } 2 .. 100);
my $reason = $weir->wait_state('small', 'stopped');
like($reason, qr/put aside.*aside allows.*weirctl park list/, 'full: it stops, with a sentence');
$weir->wait_log(qr{ warn \d+ shop/small: .*8\d % of aside});
($status, $said) = $weir->ctl('park', 'list', 'small', '--json');
like($said, qr/"table":"big"/, 'the table is listed');
$config =~ s/aside = 64k/aside = 64m/;
$config =~ s/big-\{k\}/big/;
$weir->reload($config);
wait_for('the rest is kept', 30,
    sub { ($weir->ctl('park', 'list', 'small', '--json'))[1] =~ /"rows":"100"/ });
($status, $said) = $weir->ctl('park', 'resume', 'small', 'shop.big');
is($status, 0, 'resumed') or diag $said;
my @have = map { /"after":\{"i":(\d+)/ ? $1 : () } Weir::Server::lines_of("$dir/files/big.jsonl");
is("@have", join(' ', 1 .. 100), 'all of it, in order');
$t->done;
