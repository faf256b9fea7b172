# bench.pl - how fast, as ratios within one run: makes its own workload in a
# private MariaDB, and prints a table.  `t/run bench` builds and runs it.
# Medians of 3.  WEIR_BENCH_ROWS: rows of the bulk part (1,000,000).
use Weir;
use POSIX ();
use Time::HiRes qw(time sleep);

$| = 1;
my $rows    = $ENV{WEIR_BENCH_ROWS} // 1_000_000;
my $next    = 0;
my $user    = 0;
my $single  = int($rows / 5);
my $t       = Weir->new;
my $dir     = $t->dir;
my $prefix  = $t->{prefix};
my $db      = $t->mariadb(cnf => "innodb_buffer_pool_size = 256M\n"
        . 'max_binlog_size = 1G');
my $redis   = $t->redis(args => [ '--save', '' ]);
my @results;

exit main();

sub median { my @v = sort { $a <=> $b } @_; return $v[ @v / 2 ] }

sub timed { my ($code) = @_; my $start = time; $code->(); return time - $start }

sub run_command
{
    my ($command) = @_;
    system('sh', '-c', $command) == 0 or die "$command: exit status $?\n";
    return;
}

sub row { my ($what, $figure, $wanted) = @_;
    push @results, [ $what, $figure, $wanted ];
    printf "%-58s %-22s %s\n", $what, $figure, $wanted;
    return;
}

# ---- The workload: 22 columns in bulk, and one-row transactions

sub make_tables
{
    run_command("cc -O2 -o '$dir/wait_page' -I'$ENV{WEIR_SOURCE}/core'"
            . " -I'$ENV{WEIR_SOURCE}/core/include' '$ENV{WEIR_SOURCE}/t/bench/wait_page.c'");
    $db->make_weir_user;
    $db->do('CREATE DATABASE shop', <<'EOT', 'CREATE TABLE shop.users (id BIGINT PRIMARY KEY, name VARCHAR(60))');
CREATE TABLE shop.wide (
    id BIGINT UNSIGNED PRIMARY KEY, a INT, b VARCHAR(60),
    c ENUM('new', 'paid', 'sent'), d SET('x', 'y', 'z'), e DECIMAL(12,2),
    f DECIMAL(20,6), g CHAR(10), h SMALLINT, i DOUBLE, j FLOAT, k DATETIME(6),
    l TIMESTAMP(3) NULL, m DATE, n TIME, o YEAR, p VARCHAR(80), q TEXT,
    r LONGTEXT, s BINARY(16), t TINYINT, u BIT(8))
EOT
    return;
}

# `n` more wide rows; the binlog files that hold them.
sub bulk
{
    my ($n) = @_;
    $db->do('FLUSH BINARY LOGS');
    my ($from) = $db->rows('SHOW MASTER STATUS');
    while ($n > 0) {
        my $some = $n > 10_000 ? 10_000 : $n;
        $db->do(<<"EOT");
INSERT INTO shop.wide SELECT $next + seq, seq * 7, CONCAT('customer ', seq),
    1 + seq % 3, seq % 8, seq / 100, seq / 7, LPAD(seq, 10, '0'), seq % 30000,
    seq / 3, seq / 9, '2026-01-02 03:04:05.678901' + INTERVAL seq SECOND,
    '2026-01-02 03:04:05.678', '2026-01-02', SEC_TO_TIME(seq % 80000), 2026,
    CONCAT('some street ', seq, ', \xc3\xa4 town'), REPEAT('text ', seq % 10),
    CONCAT('{"id":', seq, ',"tags":["a","b"]}'), UNHEX(MD5(seq)), seq % 100,
    seq % 256 FROM shop.seq_1_to_$some
EOT
        $next += $some;
        $n -= $some;
    }
    return files_from($from->[0]);
}

sub singles
{
    my ($n) = @_;
    $db->do('FLUSH BINARY LOGS');
    my ($from) = $db->rows('SHOW MASTER STATUS');
    my $file = "$dir/singles.sql";
    open my $out, '>', $file or die;
    print $out "INSERT INTO shop.users VALUES (" . ++$user . ", 'one row');\n"
        for 1 .. $n;
    close $out;
    run_command("mariadb --no-defaults -uroot -S '@{[ $db->socket ]}' <'$file'");
    return files_from($from->[0]);
}

sub files_from
{
    my ($first) = @_;
    $db->do('FLUSH BINARY LOGS');
    my @all = map { $_->[0] } $db->rows('SHOW BINARY LOGS');
    return grep { $_ ge $first && $_ lt $all[-1] } @all;
}

sub files_size
{
    my $sum = 0;
    $sum += -s "$db->{dir}/data/$_" for @_;
    return $sum;
}

# ---- Weir, and when it is done

sub source
{
    return "source { mysql { host = \"127.0.0.1\"  port = " . $db->port
        . "  user = \"weir\"  password = \"secret\"  start = $_[0] } }";
}

# Waits until the page of a worker says `what` (gtid, rows) is that; what `each`
# does now and then meanwhile has to be cheap.
sub wait_page
{
    my ($weir, $page, $what, $value, $each) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        exec {"$dir/wait_page"} 'wait_page', $weir->state . "/run/$page", $what,
            $value
            or POSIX::_exit(127);
    }
    my $end = time + 600;
    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        $each->() if $each;
        sleep($each ? 0.05 : 0.002);
        die "$page does not reach $what $value\n" if time > $end;
    }
    die "$page does not reach $what $value\n" if $?;
    return time;
}

# When the log said it: mariadb-binlog is up and connected within some 10 ms,
# Weir's master and workers in 100.
sub said_at
{
    my ($weir, $pattern, $from) = @_;
    my $line = $weir->wait_log($pattern, from => $from);
    my ($h, $m, $s) = $line =~ /T(\d+):(\d+):([\d.]+)Z/;
    my $now = int time;
    my $day = $now - $now % 86400;
    return $day + $h * 3600 + $m * 60 + $s;
}

# RssAnon + RssShmem of all of its processes, in MB.
sub memory
{
    my ($weir) = @_;
    my $sum = 0;
    for my $pid ($weir->processes) {
        my $text = Weir::read_file("/proc/$pid/status") // next;
        $sum += $1 while $text =~ /^Rss(?:Anon|Shmem):\s+(\d+)/mg;
    }
    return $sum / 1024;
}

# ---- (a) source -> relay

sub source_to_relay
{
    my ($name, $make) = @_;
    my $weir = $t->weir(config => 'pipeline shop { ' . source('now')
            . ' relay { size = 512m  keep = 0  tables = {"*.*"} }'
            . ' sink none { tables = {"no.such"} null { } } }');
    $weir->start;
    my (@ours, @theirs, $size);
    for my $round (0 .. 3) {    # the first one makes the segments
        $weir->stop;
        my @files = $make->();
        $size = files_size(@files);
        my $gtid = $db->value('SELECT @@gtid_binlog_pos');
        my $mark = $weir->log_mark;
        $weir->launch;
        my $begin = said_at($weir, qr/: connected to/, $mark);
        my $ours = wait_page($weir, 'shop.source', 'gtid', $gtid) - $begin;
        my $raw = $t->make_dir("raw$round");
        my $theirs = timed(
            sub {
                run_command("cd '$raw' && mariadb-binlog --no-defaults -R --raw"
                        . " -h127.0.0.1 -P" . $db->port . " -uweir -psecret @files");
            }
        );
        run_command("rm -rf '$raw'");
        next if !$round;
        push @ours,   $ours;
        push @theirs, $theirs;
    }
    $weir->stop;
    row("(a) source -> relay, $name: Weir",
        sprintf('%.0f MB/s', $size / 1e6 / median(@ours)), '');
    row("(a) source -> relay, $name: mariadb-binlog -R --raw",
        sprintf('%.0f MB/s', $size / 1e6 / median(@theirs)), '');
    row("(a) ratio, $name", sprintf('%.2f', median(@theirs) / median(@ours)),
        'wanted >= 1.5');
    return;
}

# ---- (b) decoding to JSON

sub decode
{
    my ($name, $n, @files) = @_;
    my $paths = join ' ', map { "'$db->{dir}/data/$_'" } @files;
    my (@cat, @verbose);
    for (1 .. 3) {
        push @cat, timed(sub { run_command("$prefix/bin/weircat $paths >/dev/null") });
        push @verbose, timed(
            sub {
                run_command('mariadb-binlog --no-defaults -v'
                        . " --base64-output=decode-rows $paths >/dev/null");
            }
        );
    }
    row("(b) weircat, $name", sprintf('%.0f k rows/s', $n / 1000 / median(@cat)), '');
    row("(b) mariadb-binlog -v, $name",
        sprintf('%.0f k rows/s', $n / 1000 / median(@verbose)), '');
    row("(b) ratio, $name", sprintf('%.2f', median(@verbose) / median(@cat)),
        'wanted >= 3.5');
    return (median(@verbose), \@files);
}

# A filled relay, then a sink on it; seconds until it has all of it.
sub from_relay
{
    my ($sink, $files, $n) = @_;
    my $list = join ', ', map { "\"$db->{dir}/data/$_\"" } @$files;
    my $head = "pipeline shop { source { binlog { files = {$list} } }"
        . ' relay { size = 8g  keep = 24h  tables = {"*.*"} }'
        . ' sink none { tables = {"no.such"} null { } }';
    my $weir = $t->weir(config => "$head }");
    $weir->start;
    $weir->wait_state('source', 'ended', 600);
    my ($exit, $said) = $weir->reload("$head $sink }");
    die $said if $exit;
    my $begin = said_at($weir, qr{shop/out: running}, 0);
    my $most = 0;
    my $seconds = wait_page(
        $weir, 'shop.out.sink', 'rows', $n,
        sub {
            my $now = memory($weir);
            $most = $now if $now > $most;
        }
    ) - $begin;
    $weir->stop;
    return ($seconds, $most);
}

sub relay_to_null
{
    my ($n, $verbose, $files) = @_;
    my $seconds = median(map { (from_relay('sink out { tables = {"*.*"} null { format = "weir" } }', $files, $n))[0] } 1 .. 3);
    row('(b) relay -> JSON -> null, bulk', sprintf('%.0f k rows/s', $n / 1000 / $seconds), '');
    row('(b) ratio to mariadb-binlog -v', sprintf('%.2f', $verbose / $seconds), 'wanted >= 3.5');
    return;
}

# ---- (c) relay -> Redis

sub relay_to_redis
{
    my ($n, $files) = @_;
    my $port = $redis->port;
    my $depth = 1000;
    my $sink = "sink out { tables = {\"*.*\"}  events = $depth  redis { host = \"127.0.0.1\"  port = $port"
        . '  key = "wide:{id}" } }';
    my (@ours, $most);
    for (1 .. 3) {
        $redis->ask('FLUSHALL');
        my ($seconds, $memory) = from_relay($sink, $files, $n);
        push @ours, $n / $seconds;
        $most = $memory if !$most || $memory > $most;
    }
    my %hash = %{ $redis->hash($redis->ask('RANDOMKEY')) };
    my @arguments = map { my $v = $hash{$_}; $v =~ s/[^ -&(-~]/?/g; "'$_' '$v'" } sort keys %hash;
    my @theirs = map {
        $redis->ask('FLUSHALL');
        my $said = `redis-benchmark -p $port -c 1 -P $depth -n $n -r 100000000 -q HSET wide:__rand_int__ @arguments 2>&1`;
        ($said =~ /([\d.]+) requests per second/)[0] // die "redis-benchmark: $said";
    } 1 .. 3;
    row('(c) relay -> Redis', sprintf('%.0f k HSET/s', median(@ours) / 1000), '');
    row("(c) redis-benchmark, depth $depth", sprintf('%.0f k HSET/s', median(@theirs) / 1000), '');
    row('(c) ratio', sprintf('%.2f', median(@ours) / median(@theirs)), 'wanted >= 0.8');
    row('(e) memory at full load', sprintf('%.1f MB', $most), 'wanted < 100 MB');
    $redis->ask('FLUSHALL');
    return;
}

# ---- (d) latency, (e) memory at rest

sub latency
{
    my $port = $redis->port;
    my $weir = $t->weir(config => 'pipeline shop { ' . source('now')
            . ' sink users { tables = {"shop.users"} redis { host = "127.0.0.1"'
            . " port = $port  key = \"users:{id}\" } }"
            . ' sink nothing { null { } } }');
    $weir->start;
    $db->do("INSERT INTO shop.users VALUES (999999999, 'first')");
    wait_for('the first row', 30, sub { $redis->ask('EXISTS', 'users:999999999') });
    row('(e) memory at rest', sprintf('%.1f MB', memory($weir)), 'wanted < 30 MB');
    my $program = "$dir/latency";
    run_command("cc -O2 -o '$program' '$ENV{WEIR_SOURCE}/t/bench/latency.c'"
            . ' $(pkg-config --cflags --libs libmariadb hiredis) -lpthread');
    my (@p50, @p99, @sent);
    for (1 .. 3) {
        my $said = `'$program' '@{[ $db->socket ]}' $port 5000 500`;
        my ($p50, $p99) = $said =~ /^ok p50 (\d+) .*p99 (\d+)/m or die "latency: $said";
        push @p50, $p50;
        push @p99, $p99;
        push @sent, $said =~ /^sent p50 (\d+)/m;
        $db->do('DELETE FROM shop.users WHERE id >= 1000000000');
        wait_for('deletes', 60, sub { !$redis->ask('EXISTS', 'users:1000004999') });
    }
    $weir->stop;
    row('(d) COMMIT OK -> in Redis, p50', median(@p50) . ' us', 'wanted < 300 us');
    row('(d) COMMIT OK -> in Redis, p99', median(@p99) . ' us', 'wanted < 2000 us');
    row('(d) COMMIT sent -> in Redis, p50', median(@sent) . ' us', '');
    return;
}

sub main
{
    chomp(my $model = `sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1`);
    chomp(my $cores = `nproc`);
    print "$cores x $model; $rows bulk rows, $single one-row transactions\n\n";
    make_tables();
    latency();
    source_to_relay('bulk', sub { bulk($rows) });
    source_to_relay('one-row transactions', sub { singles($single) });
    my ($verbose, $files) = decode('bulk', $rows, bulk($rows));
    decode('one-row transactions', $single, singles($single));
    chmod 0755, "$db->{dir}/data";
    relay_to_null($rows, $verbose, $files);
    relay_to_redis($rows, $files);
    $t->close_all;
    return 0;
}
