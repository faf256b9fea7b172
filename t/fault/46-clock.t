# The clock of the machine is set forward by days, and back by more: timers go on
# (retries, rotation), lag is never negative, versions only grow, a rewind by time
# finds its place, and nothing is lost or repeated.  Weir alone sees that clock.
use Weir;
use Weir::Shop;
use JSON::PP;
use Time::HiRes qw(time);

my $t = Weir->new;
my ($faketime) = glob '/usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1';
my $why = !defined $faketime || !-e $faketime ? 'libfaketime is not here: apt-get install libfaketime'
    : $Weir::Slow > 1 ? "libfaketime can't stand before a sanitizer" : '';
if ($why) {
    $t->finish;
    plan(skip_all => $why);
}
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, k INT)');
my ($source, $port) = (shop_source($db), $redis->port);
$t->make_dir('files');
my $config = <<"EOT";
pipeline shop {
    $source
    relay { size = 64m  segment = 1m  keep = 30d }
    sink cache { redis { port = $port  key = "t:{i}"  ttl = 10d } }
    sink lines { file { root = "$dir/files"  path = "t.jsonl"  rotate_every = 1h } }
}
EOT
$t->expect_log(qr/signal 9/, qr/the last line \d+ more/);
my $weir = $t->weir(config => $config);

sub set_clock
{
    my ($offset) = @_;
    open my $out, '>', "$dir/clock.new" or die;
    print $out "$offset\n";
    close $out;
    rename "$dir/clock.new", "$dir/clock" or die;
    return;
}
set_clock('+0');
@ENV{qw(LD_PRELOAD FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE FAKETIME_DONT_FAKE_MONOTONIC)} =
    ($faketime, "$dir/clock", 1, 1);
$ENV{DONT_FAKE_MONOTONIC} = 1;
$weir->launch;
delete $ENV{LD_PRELOAD};
$weir->wait_state('source', 'running');
my $n = 0;

sub insert
{
    my ($rows) = @_;
    $db->do('INSERT INTO shop.t VALUES (' . ++$n . ', 0)') for 1 .. $rows;
    return;
}

sub lines
{
    my %part = map { $_ => /-(\d+)\.jsonl|\.(\d+)\b/ ? $1 // $2 : 0 } glob "$dir/files/*";
    return map { Weir::Server::lines_of($_) } sort { $part{$a} <=> $part{$b} } keys %part;
}

sub all_there
{
    my ($what) = @_;
    my $begin = time;
    my (@lines, @rows);    # statements have lines, too
    eval {
        wait_for($what, 30, sub {
            @lines = lines();
            @rows  = map { /"after":\{"i":(\d+).*\}$/ } @lines;
            @rows >= $n;
        });
    };
    is("@rows", join(' ', 1 .. $n), "$what: each row once, in order");
    my @seq = map { /"seq":"(\d+)"/ } @lines;
    is(scalar(grep { $seq[$_] <= $seq[ $_ - 1 ] } 1 .. $#seq), 0, "$what: seq only grows");
    eval { wait_for($what, 30, sub { $redis->ask('EXISTS', "t:$n") }) };
    ok($redis->ask('EXISTS', "t:$n"), "$what: the last row in Redis");
    cmp_ok(time - $begin, '<', 10, "$what: without waiting");
    my ($exit, $said) = $weir->ctl('lag', '--json');
    my @lag = map { $_->{lag_usec} } @{ decode_json($said) };
    is(scalar(grep { $_ < -1 || $_ > 1e6 * 86400 * 9 } @lag), 0, "$what: lag is sane") or diag $said;
    return;
}

# Redis away and back: retries go by another clock.
sub outage
{
    my ($what) = @_;
    $redis->stop;
    insert(2);
    $weir->wait_state('cache', 'waiting');
    $redis->start;
    all_there($what);
    $weir->wait_state('cache', 'running');
    return;
}
insert(3);
all_there('before');
my $parts = () = glob "$dir/files/*";
my $middle = POSIX::strftime('%Y-%m-%d %H:%M:%S', gmtime(time + 1));
for my $clock ('+5d', '-3d', '+1d') {
    set_clock($clock);
    insert(3);
    all_there($clock);
    outage("$clock, retries");
    my $before = $parts;
    $parts = () = glob "$dir/files/*";
    cmp_ok($parts, '>', $before, "$clock: the file is rotated") if $clock ne '-3d';
    insert(2);
    $weir->crash_worker($_) for 'source shop', 'sink shop/cache', 'sink shop/lines';
    insert(2);
    all_there("$clock, killed");
    insert(2);
    kill 'HUP', $weir->worker_pid("master @{[ $weir->conf ]}");
    all_there("$clock, reloaded");
}
my $ttl = $redis->ask('TTL', "t:$n");
cmp_ok($ttl, '>', 8 * 86400, 'a TTL is by the clock of Redis, from when it is written');
my ($exit, $said) = $weir->ctl('rewind', 'shop/cache', '--to', $middle, '--yes');
is($exit, 0, 'a rewind by time goes by the times of the source') or diag $said;
insert(1);
all_there('rewound');
$t->done;
