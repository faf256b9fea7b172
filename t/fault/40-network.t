# Under load each connection, of source and Weir and of Weir and Redis, is cut,
# reset, left half open, stalled, slowed down and delayed, and what the source
# says has bits flipped: all arrives, once and in order, and no flipped bit.
use Weir;
use Weir::Load;
use Weir::Proxy;
use Weir::Shop;
use List::Util qw(shuffle);
use Time::HiRes qw(sleep time);

use constant { HEARTBEAT => 0.25, CONNECT => 1, REDIS => 1 };

my $rounds = $ENV{WEIR_NET_ROUNDS} // (long_run() ? 12 : 1);
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
my $dir    = $t->dir;
$db->make_weir_user;
my $load = Weir::Load->new($db, pause_ms => 4)->create_tables;
my %proxy = (
    source => Weir::Proxy->new($t, $db->port),
    Redis  => Weir::Proxy->new($t, $redis->port)
);
my $config = shop_config($proxy{source}, $proxy{Redis}, $dir,
    source => 'start = earliest  heartbeat = 250ms  connect_timeout = 1s',
    users  => 'events = 50');
$config =~ s/(redis \{)/$1 timeout = 1s /g;
my $weir = $t->weir(config => $config)->start;
my (%took, %noticed);
diag 'seed ' . seed() . ", $rounds rounds";

# What is committed from now on arrives; how long that took.
sub all_is_there
{
    my ($what, $who) = @_;
    my $since = time;
    wait_synced($db, $redis, $dir, 60);
    push @{ $took{"$what, $who"} }, time - $since;
    return;
}

sub new_connection
{
    my ($who, $than, $seconds) = @_;
    wait_for("a new connection to the $who", $seconds // 30,
        sub { $proxy{$who}->connections > $than });
    return;
}

# ---- The faults; each ends with a connection that is as it should be

sub broken
{
    my ($who, $how) = @_;
    my $p = $proxy{$who};
    my $before = $p->connections;
    cmp_ok($p->$how, '>', 0, "$how: the $who was connected");
    new_connection($who, $before);
    return;
}

# It has to be noticed, within what the documentation says of each.
sub half_open
{
    my ($who) = @_;
    my $p = $proxy{$who};
    my ($before, $since) = ($p->connections, time);
    $p->freeze;
    new_connection($who, $before);
    my $noticed = time - $since;
    my $most = $who eq 'source' ? 4 * HEARTBEAT + 1 : REDIS;
    push @{ $noticed{$who} }, $noticed;
    cmp_ok($noticed, '<', ($most + 2) * $Weir::Slow,
        sprintf 'half open: the %s is given up after %.1f s', $who, $most);
    return;
}

# Something accepts and says nothing.
sub mute
{
    my ($who) = @_;
    my $p = $proxy{$who};
    my $before = $p->connections;
    $p->mute;
    $p->cut;
    new_connection($who, $before + 1);    # given up, and again
    $p->pass;
    $p->cut;
    return;
}

# Shorter than what anybody takes for an end.
sub stalled
{
    my ($who) = @_;
    my $p = $proxy{$who};
    my $before = $p->connections;
    $p->freeze;
    sleep 0.4;
    $p->pass;
    all_is_there('stalled', $who);
    is($p->connections, $before, "stalled: the $who is not connected to anew")
        if $Weir::Slow == 1;
    return;
}

sub bent
{
    my ($who, $how, $n) = @_;
    my $p = $proxy{$who};
    $p->$how($n);
    sleep 0.7;    # of a load
    $p->pass;
    return;
}

my %fault = (
    cut         => sub { broken($_[0], 'cut') },
    reset       => sub { broken($_[0], 'reset') },
    'half open' => \&half_open,
    mute        => \&mute,
    stalled     => \&stalled,
    slow        => sub { bent($_[0], 'slow',  50_000) },
    delay       => sub { bent($_[0], 'delay', 150) },
);

# An event is found out by its checksum, the head of a packet by what follows.
sub flip
{
    my $p = $proxy{source};
    my ($before, $have) = ($p->connections, $p->flipped);
    $p->flip(int rand 20_000, int rand 8);
    wait_for('a bit is flipped', 60, sub { $p->flipped > $have });
    new_connection('source', $before, 60);
    return;
}

# Each time it went on, so each is a first failure, and soon made good.
sub again_and_again
{
    my $from = $weir->log_mark;
    for (1 .. 6) {
        broken('source', 'cut');
        all_is_there('cut again', 'source');
    }
    is($weir->log_count(qr/ shop: .*next try in \S+ s \((?!2nd)/, $from), 0,
        'a connection that breaks and breaks is made again at once');
    return;
}

$load->start;
again_and_again();
for my $round (1 .. $rounds) {
    for my $fault (shuffle map { my $who = $_; map { [ $who, $_ ] } sort keys %fault } sort keys %proxy) {
        my ($who, $what) = @$fault;
        $fault{$what}->($who);
        all_is_there($what, $who);
    }
    for (1 .. 4) {
        flip();
        all_is_there('a flipped bit', 'source');
    }
    next if $round % 4;
    $load->stop;
    wait_synced($db, $redis, $dir);
    check_shop($db, $redis, $dir, "round $round");
    $load->start;
}
my $n = $load->stop;
wait_synced($db, $redis, $dir);
check_shop($db, $redis, $dir, "$n transactions");
is($proxy{source}->flipped, 4 * $rounds, 'all bits were flipped');
cmp_ok($weir->log_count(qr/checksum is wrong/), '>', 0, 'by a checksum some were found out');
is($weir->status->{source}{state}, 'running', 'and the source runs');

sub percentiles
{
    my @s = sort { $a <=> $b } @_;
    return sprintf '%d times, p50 %.2f s, p95 %.2f s', scalar @s, $s[ $#s / 2 ], $s[ $#s * 0.95 ];
}
note "all there again after $_: ", percentiles(@{ $took{$_} }) for sort keys %took;
note "half open, $_, given up after: ", percentiles(@{ $noticed{$_} }) for sort keys %noticed;
$t->done;
