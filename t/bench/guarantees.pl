# guarantees.pl - what each guarantee costs: the same rows from a full relay into
# the same target, with it and without, and from the source into relays with each
# `sync`.  Ratios within one run; medians of 3 (WEIR_BENCH_ROUNDS).
# WEIR_BENCH_ROWS: rows (400,000), a twentieth of them in transactions of one row.
use Weir;
use JSON::PP qw(decode_json);
use Time::HiRes qw(time sleep);
use Weir::Shop;

$| = 1;
my $rows   = $ENV{WEIR_BENCH_ROWS}   // 400_000;
my $rounds = $ENV{WEIR_BENCH_ROUNDS} // 3;
my $t      = Weir->new;
my $dir    = $t->dir;
my $db     = $t->mariadb(cnf => 'max_binlog_size = 1G');
my $redis  = $t->redis(args => [ '--save', '' ]);
my $port   = $redis->port;
my $next   = 0;

exit main();

sub median { my @v = sort { $a <=> $b } @_; return $v[ @v / 2 ] }

sub fill
{
    $db->make_weir_user;
    $db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, name VARCHAR(60), n INT, at DATETIME(6))');
    my $values = "seq, CONCAT('customer ', seq), seq * 7, '2026-01-02 03:04:05.678901'";
    for (my $n = 0; $n < 0.95 * $rows; $n += 1000) {
        $db->do("INSERT INTO shop.t SELECT $n + $values FROM shop.seq_1_to_1000");
    }
    my $client = $db->client;
    for my $i ($rows * 0.95 + 1 .. $rows) {
        $client->do("INSERT INTO shop.t VALUES ($i, 'customer $i', $i * 7, '2026-01-02 03:04:05.678901')");
    }
    return;
}

sub worker
{
    my ($weir, $name) = @_;
    my ($exit, $said) = $weir->ctl('--json', 'status');
    my $all = eval { decode_json($said) } or return {};
    my ($w) = grep { $_->{name} eq $name } @{ $all->{pipelines}[0]{workers} };
    return $w // {};
}

# Rows a second from the first batch on.
sub rate
{
    my ($weir, $name) = @_;
    my ($began, $had);
    Weir::wait_for("$name begins", 60, sub {
        $had = worker($weir, $name)->{rows};
        $began = time if $had;
        return $began;
    });
    Weir::wait_for("$name has all", 600, sub { (worker($weir, $name)->{rows} // 0) >= $rows });
    return ($rows - $had) / ((time - $began) || 0.001);
}

sub pipeline
{
    my ($sync, $sinks) = @_;
    return "pipeline shop {\n" . shop_source($db) . "\n    relay { size = 1g  keep = 1h  sync = $sync }\n"
        . "    sink none { null { } }\n$sinks}\n";
}

# A sink that is new each time, so that it begins with the relay.
sub sink_rate
{
    my ($weir, $block, @settings) = @_;
    $redis->ask('FLUSHALL');
    $redis->ask('CONFIG', 'SET', @$_) for @settings;
    my $name = 's' . ++$next;
    $t->make_dir($name);
    my ($exit, $said) = $weir->reload(pipeline('none', "    sink $name { " . ($block =~ s/NAME/$dir\/$name/r) . " }\n"));
    die $said if $exit;
    return rate($weir, $name);
}

sub relay_rate
{
    my ($sync) = @_;
    my $weir = $t->weir(config => pipeline($sync, ''));
    my $began = time;
    $weir->launch;
    Weir::wait_for('all is there', 600, sub { (worker($weir, 'none')->{rows} // 0) >= $rows });
    my $rate = $rows / (time - $began);
    $weir->stop;
    return $rate;
}

# The first of each group is what the others are compared with.
sub table
{
    my ($title, @lines) = @_;
    my $base;
    for my $line (@lines) {
        my ($what, $code) = @$line;
        my $rate = median(map { $code->() } 1 .. $rounds);
        $base //= $rate;
        printf "%-14s %-52s %9.0f rows/s  %.2f\n", $title, $what, $rate, $rate / $base;
    }
    return;
}

sub main
{
    fill();
    my @off = [ 'appendonly', 'no' ];
    my @on  = [ 'appendonly', 'yes' ];
    my $weir = $t->weir(config => pipeline('none', ''))->start;
    rate($weir, 'none');
    my $sink = sub { my ($what, $block, @settings) = @_;
        return [ $what, sub { sink_rate($weir, $block, @settings) } ] };
    my $hash = "redis { port = $port  key = \"t:{i}\" }";
    my $append = "port = $port  key = \"t\"  format = row";
    table('redis, hash',
        $sink->('exactly-once, Redis keeps nothing', $hash, @off),
        $sink->('exactly-once, appendfsync everysec', $hash, @on, [ 'appendfsync', 'everysec' ]),
        $sink->('exactly-once, appendfsync always', $hash, @on, [ 'appendfsync', 'always' ]));
    table('redis, events',
        $sink->('publish: at-most-once', "redis { $append  command = publish }", @off),
        $sink->('stream: exactly-once', "redis { $append  command = stream }", @off),
        $sink->('stream, ids = 1h: once over rewinds, too', "redis { $append  command = stream  ids = 1h }", @off));
    table('file',
        $sink->('fsync = off: exactly-once but for power failures', 'file { root = "NAME"  path = "t.jsonl" }'),
        $sink->('fsync = on: exactly-once', 'file { root = "NAME"  path = "t.jsonl"  fsync = on }'));
    $weir->stop;
    table('relay', map { my $sync = $_; [ "sync = $sync", sub { relay_rate($sync) } ] } qw(none interval commit));
    $t->close_all;
    return 0;
}
