# Under load each connection, of source and Weir and of Weir and Redis, is cut,
# reset, left half open, stalled, slowed down and delayed, and what the source
# says has bits flipped: all arrives, once and in order, and no flipped bit.
use Weir;
use Weir::Faults;
use Weir::Load;
use Weir::Proxy;
use Weir::Shop;
use List::Util qw(shuffle);

my $rounds = long_run() ? 12 : 1;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
my $dir    = $t->dir;
$db->make_weir_user;
my $load = Weir::Load->new($db, pause_ms => 4)->create_tables;
my $arrives = sub { wait_synced($db, $redis, $dir, 60) };
my ($source, $target) = map {
    my ($name, $server, $seconds) = @$_;
    Weir::Faults->new(name => $name, proxy => Weir::Proxy->new($t, $server->port),
        given_up => $seconds, arrives => $arrives)
} [ 'source', $db, 2 ], [ 'Redis', $redis, 2 ];    # 4 heartbeats and 1 s; timeout
my $config = shop_config($source->{proxy}, $target->{proxy}, $dir,
    source => 'start = earliest  heartbeat = 250ms  connect_timeout = 1s',
    users  => 'events = 50');
$config =~ s/(redis \{)/$1 timeout = 2s /g;
my $weir = $t->weir(config => $config)->start;
diag 'seed ' . seed() . ", $rounds rounds";

# Each time it went on, so each is a first failure, and soon made good.
$load->start;
my $from = $weir->log_mark;
$source->do('cut') for 1 .. 6;
is($weir->log_count(qr/ shop: .*next try in \S+ s \((?!2nd)/, $from), 0,
    'a connection that breaks and breaks is made again at once');

for my $round (1 .. $rounds) {
    for my $fault (shuffle map { my $who = $_; map { [ $who, $_ ] } Weir::Faults::kinds() } $source, $target) {
        $fault->[0]->do($fault->[1]);
    }
    $source->flip for 1 .. 4;
    next if $round % 4;
    $load->stop;
    wait_synced($db, $redis, $dir);
    check_shop($db, $redis, $dir, "round $round");
    $load->start;
}
my $n = $load->stop;
wait_synced($db, $redis, $dir);
check_shop($db, $redis, $dir, "$n transactions");
is($source->{proxy}->flipped, 4 * $rounds, 'all bits were flipped');
cmp_ok($weir->log_count(qr/checksum is wrong/), '>', 0, 'by a checksum some were found out');
is($weir->status->{source}{state}, 'running', 'and the source runs');
$_->report for $source, $target;
$t->done;
