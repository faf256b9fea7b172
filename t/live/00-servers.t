# The servers that the other tests need, and the harness's own clients.
use Weir;
use Weir::Load;
use Weir::Compare qw(table_rows);

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis;

is($db->value('SELECT 6 * 7'), 42, 'MariaDB answers');
like($db->value('SELECT @@log_bin'), qr/1/, 'with a binlog');
like($db->{client}->try('SELEC'), qr/^ERROR 1064/, 'errors are seen');
is($db->value("SELECT HEX('a\tb')"), '610962', 'bytes get through');

is($redis->ask('SET', 'a', "x\r\ny\0"), 'OK', 'Redis answers');
is($redis->ask('GET', 'a'), "x\r\ny\0", 'bytes get through');
is(ref(($redis->pipeline([ 'HGET', 'a', 'b' ]))[0]), 'SCALAR', 'errors are seen');

my $load = Weir::Load->new($db)->create_tables;
$load->run(200);
is($db->value('SELECT COUNT(*) FROM shop.ledger'), $load->{n},
    'each committed transaction left its number');
my ($rows) = table_rows($db, 'shop', 'users', sub { $_[0]{id} });
cmp_ok(scalar keys %$rows, '>', 50, 'there are users');

$load->start;
my $before = $load->{n};
wait_for('the load goes on', 20,
    sub { $db->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger') > $before + 20 });
$db->stop;
$db->start;
wait_for('the load goes on after a restart', 20,
    sub { $db->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger') > $before + 60 });
my $n = $load->stop;
is($db->value('SELECT COUNT(*) FROM shop.ledger'), $n, 'no number twice');

$redis->stop;
$redis->start;
is($redis->ask('GET', 'a'), "x\r\ny\0", 'Redis keeps its data over a restart');
$t->done;
