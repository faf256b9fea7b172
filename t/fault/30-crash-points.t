# At each step from receive to acknowledge the process that is there is killed,
# and comes back by itself: nothing is lost, repeated or out of order, in a file
# and a stream that claim exactly-once; what is refused is put aside once.  Needs
# a build with crash points.
use Weir;
use Weir::Shop;
use JSON::PP;
use Time::HiRes qw(time sleep);

# point:how often it is passed; what has to be done besides for it to be passed.
my @points = qw(
    receive.event:40 receive.row:9 receive.ddl:1 receive.commit:7
    relay.append:20 relay.commit:6 relay.flush:2 relay.publish:2 relay.published:2
    relay.segment-ended:1/fat relay.segment-rename:2/fat relay.segment-begun:2/fat
    relay.release:1/fat
    xa.keep:1 xa.kept:1 xa.mark:1 xa.marked:1 xa.remove:1 xa.rollback:1
    deliver.follow:30 deliver.decode:9 deliver.give:2 deliver.write:2
    deliver.written:2 deliver.judge:2 deliver.verdict:2 deliver.done:2
    checkpoint.write:2 checkpoint.written:2
    side.put:2 side.sync:1 side.synced:1 side.handled:1/discard
    side.done:1/resume side.remove:1/resume request.answer:1/resume
    request.done:1/resume
);

my $t = Weir->new;
if (`$ENV{WEIR_PREFIX}/sbin/weir -V` !~ /^crash points: yes/m) {
    $t->finish;
    plan(skip_all => 'this build has no crash points: configure --enable-debug');
}
$t->make_dir('files');
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.ledger (n INT, what VARCHAR(40))',
    'CREATE TABLE shop.dead (i INT PRIMARY KEY, k INT)',
    'CREATE TABLE shop.park (i INT PRIMARY KEY, k INT)',
    'CREATE TABLE shop.fat (i INT AUTO_INCREMENT PRIMARY KEY, body LONGTEXT)');
my ($source, $port) = (shop_source($db), $redis->port);
my $weir = $t->weir(config => <<"EOT");
pipeline shop {
    $source
    relay { size = 4m  segment = 1m }
    sink ledger {
        tables = {"shop.ledger"}  guarantee = exactly-once  events = 5
        file { root = "$dir/files"  path = "{table}.jsonl"  format = row }
    }
    sink stream {
        tables = {"shop.ledger"}  guarantee = exactly-once  events = 5
        redis { port = $port  command = stream  key = "{table}"  format = row }
    }
    sink dead {
        tables = {"shop.dead"}  on_reject = dead_letter
        redis { port = $port  key = "dead:{i}" }
    }
    sink park { tables = {"shop.park"}  redis { port = $port  key = "park:{i}" } }
    sink none { tables = {"shop.fat"}  null { } }
}
EOT
$t->expect_log(qr/signal 9/, qr/is parked:/, qr/dead letter/, qr/the last line \d+ more/);
my ($n, $i, $fat, $letters) = (0, 0, 0, 0);
my (@took, $session);

# ---- What is done at each point

sub change
{
    my ($round) = @_;
    my @sql;
    push @sql, 'INSERT INTO shop.ledger VALUES (' . ++$n . ", 'load')" for 1 .. 10;
    push @sql, 'INSERT INTO shop.ledger VALUES '
        . join(',', map { '(' . ++$n . ", 'load')" } 1 .. 12);
    push @sql, 'ALTER TABLE shop.ledger MODIFY what VARCHAR(' . (40 + $round) . ')';
    for my $how ('COMMIT', 'ROLLBACK') {
        my $number = $how eq 'COMMIT' ? ++$n : 1_000_000;
        push @sql, "XA START 'x$n$how'", "INSERT INTO shop.ledger VALUES ($number, 'xa')",
            "XA END 'x$n$how'", "XA PREPARE 'x$n$how'", "XA $how 'x$n$how'";
    }
    push @sql, 'FLUSH BINARY LOGS';
    my @rows = map { ++$i } 1 .. 6;
    $redis->ask('SET', "dead:$_", 'in the way') for @rows[1, 2, 4];
    $letters += 3;
    push @sql, 'INSERT INTO shop.dead VALUES ' . join ',', map {"($_, 0)"} @rows;
    push @sql, 'INSERT INTO shop.ledger VALUES (' . ++$n . ", 'load')";
    $session->do(@sql);
    return @rows;
}

sub letters
{
    my ($status, $said) = $weir->ctl('dead', 'list', '--json');
    my @ids = $said =~ /"id":"(\d+)"/g;
    return @ids;
}

# weirctl waits for the answer while the worker dies and comes back.
sub order
{
    my (@what) = @_;
    my ($exit, $said) = $weir->ctl(@what);
    is($exit, 0, "weirctl @what") or diag $said;
    return;
}

sub more
{
    my ($what, @rows) = @_;
    if ($what eq 'fat') {
        $session->do(map {"INSERT INTO shop.fat (body) VALUES (REPEAT('x', 700000))"} 1 .. 5);
    } elsif ($what eq 'discard') {
        wait_for('the letters', 30, sub { my @ids = letters(); @ids == $letters });
        order('dead', 'discard', 'dead', (letters())[-1]);
        $letters--;
    } elsif ($what eq 'resume') {
        my $key = "park:$rows[0]";
        $redis->ask('SET', $key, 'in the way');
        $session->do("INSERT INTO shop.park VALUES ($rows[0], 1), ($rows[1], 1)");
        wait_for('the table is parked', 30,
            sub { ($weir->ctl('park', 'list'))[1] =~ /shop\.park/ });
        $redis->ask('DEL', $key);
        order('park', 'resume', 'park', 'shop.park');
        $session->do("UPDATE shop.park SET k = 2 WHERE i = $rows[0]");
        wait_for('what was parked is applied', 30, sub {
            ($redis->hash($key)->{k} // '') eq '2' && $redis->ask('EXISTS', "park:$rows[1]") });
    }
    return;
}

# ---- What has to hold

sub in_file
{
    return map { /^\{"n":(\d+),/ ? $1 : "?$_" } Weir::Server::lines_of("$dir/files/ledger.jsonl");
}

sub in_stream
{
    return map { $_->[1][1] =~ /^\{"n":(\d+),/ ? $1 : '?' }
        @{ $redis->ask('XRANGE', 'ledger', '-', '+') };
}

sub arrives
{
    my ($what, $code) = @_;
    my $want = join ' ', 1 .. $n;
    eval { wait_for($what, 30, sub { my @have = $code->(); @have >= $n }) };
    my $have = join ' ', $code->();
    return $have eq $want ? '' : "$what has $have\n";
}

sub all_right
{
    my (@rows) = @_;
    my $wrong = arrives('file', \&in_file) . arrives('stream', \&in_stream);
    eval { wait_for('the last row', 30, sub { $redis->ask('EXISTS', "dead:$rows[5]") }) };
    $wrong .= "dead:$_ is not there\n" for grep { !$redis->ask('EXISTS', "dead:$_") } @rows;
    eval { wait_for('the letters', 30, sub { my @ids = letters(); @ids >= $letters }) };
    my $have = () = letters();
    $wrong .= "$have dead letters of $letters\n" if $have != $letters;
    return $wrong;
}

sub has_crashed { return 0 != grep { $_ eq "weir: crash point $_[0]" } $weir->err_lines }

# ---- Each point

$session = $db->client;
for my $round (0 .. $#points) {
    my ($point, $count, $what) = $points[$round] =~ m{^(.*):(\d+)/?(.*)$};
    local $ENV{WEIR_CRASH} = "$point:$count";
    $weir->launch;
    my @rows = change($round);
    more($what, @rows) if $what;
    eval { wait_for($point, 15, sub { has_crashed($point) }) };
    ok(has_crashed($point), "$point is passed");
    my $since = time;
    is(all_right(@rows), '', "$point: once and in order");
    push @took, time - $since;
    $weir->crash;
}
@took = sort { $a <=> $b } @took;
note sprintf '%d points; all there again after p50 %.2f s, p95 %.2f s', scalar @took,
    $took[$#took / 2], $took[ $#took * 0.95 ];
$t->done;
