# A hand on a server under load: pause for a while (a minute in a long run),
# resume, equal; rewind to a GTID and to a time, and what is sent again is exactly what came after, also
# into a sink that keeps its own checkpoint.
use Weir;
use JSON::PP;
use Time::HiRes qw(time);
use Weir::Compare;
use Weir::Load;
use Weir::Shop;

my $t     = Weir->new;
my $db    = $t->database;
my $redis = $t->redis;
$db->make_weir_user;
my $load = Weir::Load->new($db)->create_tables;
my $dir  = $t->dir;
my $weir = $t->weir(config => shop_config($db, $redis, $dir))->start;

sub sink
{
    my ($name) = @_;
    my ($exit, $text) = $weir->ctl('status', '--json');
    my ($found) = grep { $_->{name} eq $name } @{ decode_json($text)->{pipelines}[0]{workers} };
    return $found;
}

sub committed { return $db->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger WHERE what = \'load\'') }

# ---- Pause under load

$load->start;
wait_for('some load', 30, sub { committed() > 50 });
my $users = $weir->worker_pid('sink shop/users');
for my $name (qw(ledger orders)) {
    my ($exit, $said) = $weir->ctl('pause', $name, 'for a test');
    is($exit, 0, "pause $name") or diag $said;
}
my @held = ledger_numbers($dir);
my ($from, $paused) = (committed(), time);
wait_for('more load', 120,
    sub { committed() > $from + 300 && (!long_run() || time > $paused + 60) });
is(scalar(ledger_numbers($dir)), scalar @held, 'nothing reaches a paused sink');
is(sink('ledger')->{state}, 'paused', 'its state');
like(sink('orders')->{why}, qr/for a test/, 'its reason');
is($weir->worker_pid('sink shop/users'), $users, 'the others never noticed');
cmp_ok(sink('ledger')->{behind_bytes}, '>', 0, 'how far it is behind');
for my $name (qw(ledger orders)) {
    my ($exit, $said) = $weir->ctl('resume', $name);
    is($exit, 0, "resume $name") or diag $said;
}
$load->stop;
my $stopped = time;
wait_for('another second', 5, sub { time >= $stopped + 2 });
$load->run(20);
wait_synced($db, $redis, $dir);
check_shop($db, $redis, $dir, 'after a pause');

# ---- Rewind

my @lines = Weir::Server::lines_of(ledger_path($dir));
sub gtid_of { return $_[0] =~ /"gtid":"([^"]+)"/ ? $1 : '' }

sub rewound
{
    my ($to, @want) = @_;
    my $n = () = Weir::Server::lines_of(ledger_path($dir));
    my ($exit, $said) = $weir->ctl('rewind', 'shop/ledger', '--to', $to, '--yes');
    is($exit, 0, "rewind to $to") or diag $said;
    my @again;
    eval {
        wait_for('what came after comes again', 60, sub {
            @again = Weir::Server::lines_of(ledger_path($dir));
            splice @again, 0, $n;
            return @again >= @want && sink('ledger')->{caught_up};
        });
    };
    is(scalar @again, scalar @want, 'as many lines come again');
    ok(join("\n", @again) eq join("\n", @want), "exactly what came after $to");
    return $said;
}
my $half = int(@lines / 2);
rewound(gtid_of($lines[$half]), @lines[ $half + 1 .. $#lines ]);

my ($exit, $said) = $weir->ctl('relay', 'dump');
is($exit, 0, 'relay dump');
my @heads = map { decode_json($_) } grep { /"type":"head"/ } split /\n/, $said;
my %time = map { $_->{gtid} => $_->{commit_time} } @heads;
# A second that the relay does not begin in.
my ($first) = $heads[0]{commit_time} =~ /^(.{19})/;
my @later = grep { $_ ne $first }
    map { substr $time{ gtid_of($_) }, 0, 19 } @lines[ int(@lines / 3) .. $#lines ];
my $second = $later[ @later / 2 ];
rewound($second, grep { $time{ gtid_of($_) } ge $second } @lines);

# Redis keeps its checkpoint itself; a hash that somebody removed comes back.
my $mark = 'orders:mark:1';
ok($redis->ask('EXISTS', $mark), 'a row is there');
$redis->ask('DEL', $mark);
my ($gtid) = map { gtid_of($_) } grep { /"what":"load"/ } reverse @lines;
my ($stop, $words) = $weir->ctl('rewind', 'orders', '--to', $gtid, '--yes');
is($stop, 0, "rewind of a sink that keeps its own checkpoint") or diag $words;
wait_for('it is sent again', 30, sub { $redis->ask('EXISTS', $mark) });
wait_synced($db, $redis, $dir);
my ($n, @wrong) = Weir::Compare::same_as_hashes($db, $redis, 'shop', 'orders', 'orders:*',
    sub { "orders:$_[0]{number}:$_[0]{line}" });
is(join("\n", @wrong), '', "$n orders are the same");
($stop, $words) = $weir->ctl('rewind', 'orders', '--to', 'earliest', '--yes');
is($stop, 0, 'and to the earliest') or diag $words;
$weir->crash;
$weir->start;
wait_synced($db, $redis, $dir);
($n, @wrong) = Weir::Compare::same_as_hashes($db, $redis, 'shop', 'orders', 'orders:*',
    sub { "orders:$_[0]{number}:$_[0]{line}" });
is(join("\n", @wrong), '', "$n orders are the same after a crash, too");

# ---- Take over: another Weir, whose state knows nothing of the target

$weir->stop;
my $other = $t->weir(config => shop_config($db, $redis, $dir));
$t->expect_log(qr/belongs to a Weir on/);
$other->start;
for my $name (qw(users orders)) {
    like($other->wait_state($name, 'stopped'), qr/belongs to a Weir on/, "$name is somebody else's");
    my ($exit, $said) = $other->ctl('adopt', $name);
    is($exit, 0, "adopt $name") or diag $said;
    like($said, qr/shop\/$name is taken over behind /, 'its answer');
    $other->wait_state($name, 'running');
    ok(!-e $other->state . "/shop.$name.request", 'once');
}
$db->do("INSERT INTO shop.orders (number, line) VALUES ('mark', 999)");
wait_for('it goes on', 30, sub { $redis->ask('EXISTS', 'orders:mark:999') });
($n, @wrong) = Weir::Compare::same_as_hashes($db, $redis, 'shop', 'orders', 'orders:*',
    sub { "orders:$_[0]{number}:$_[0]{line}" });
is(join("\n", @wrong), '', "$n orders are the same");
$t->done;
