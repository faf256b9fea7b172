# search.pl - how fast a filled relay goes into OpenSearch, as a ratio to a bare
# loop that posts the same bulks on as many connections, in one run.  Medians of
# 3, taken in turn.  WEIR_BENCH_DOCUMENTS: how many (200,000).
use Weir;
use Time::HiRes qw(sleep);

BEGIN { require "$ENV{WEIR_SOURCE}/t/contract/Fakesearch.pm" }

$| = 1;
my $n      = $ENV{WEIR_BENCH_DOCUMENTS} // 200_000;
my $rounds = 3;
my $t      = Weir->new;
my $dir    = $t->dir;
my $search = $t->search;
my $db     = $t->mariadb(cnf => "max_binlog_size = 1G\n");

sub median { my @v = sort { $a <=> $b } @_; return $v[ @v / 2 ] }

sub run_command
{
    my ($command) = @_;
    system('sh', '-c', $command) == 0 or die "$command: exit status $?\n";
    return;
}

sub fill
{
    $db->do('CREATE DATABASE shop', <<'EOT', 'FLUSH BINARY LOGS');
CREATE TABLE shop.docs (id INT PRIMARY KEY, name VARCHAR(60), email VARCHAR(60),
    status VARCHAR(10), amount INT, ratio DOUBLE, made DATETIME, note VARCHAR(100))
EOT
    my ($from) = $db->rows('SHOW MASTER STATUS');
    for (my $at = 0; $at < $n; $at += 10_000) {
        $db->do(<<"EOT");
INSERT INTO shop.docs SELECT $at + seq, CONCAT('customer ', seq),
    CONCAT('c', seq, '\@example.net'), ELT(1 + seq % 3, 'new', 'paid', 'sent'),
    seq * 7, seq / 3, '2026-01-02 03:04:05' + INTERVAL seq SECOND,
    CONCAT('some words that are to be found ', seq % 1000)
    FROM shop.seq_1_to_10000
EOT
    }
    $db->do('FLUSH BINARY LOGS');
    my @all = map { $_->[0] } $db->rows('SHOW BINARY LOGS');
    chmod 0755, "$db->{dir}/data";
    return map { "$db->{dir}/data/$_" }
        grep { $_ ge $from->[0] && $_ lt $all[-1] } @all;
}

# Seconds from a filled relay to the last document's answer.
sub from_relay
{
    my ($url, $lanes, @files) = @_;
    my $list = join ', ', map { "\"$_\"" } @files;
    my $head = "pipeline shop { source { binlog { files = {$list} } }"
        . ' relay { size = 8g  keep = 24h  tables = {"*.*"} }'
        . ' sink none { tables = {"no.such"} null { } }';
    my $sink = 'sink out { tables = {"shop.docs"} lanes = ' . $lanes . ' elasticsearch {'
        . " url = {\"$url\"}  index = \"docs\"  id = \"{id}\" } }";
    my $weir = $t->weir(config => "$head }");
    $weir->start;
    $weir->wait_state('source', 'ended', 600);
    my ($exit, $said) = $weir->reload("$head $sink }");
    die $said if $exit;
    my $pid = fork // die;
    if (!$pid) {
        exec {"$dir/wait_page"} 'wait_page',
            $weir->state . '/run/shop.out.sink', 'rows', $n
            or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    die "not all documents arrive\n" . $weir->last_words if $?;
    my $end = Time::HiRes::time();
    my $line = $weir->wait_log(qr{shop/out: http\S+ is OpenSearch});
    my ($h, $m, $s) = $line =~ /T(\d+):(\d+):([\d.]+)Z/;
    my $day = int($end / 86400) * 86400;
    $weir->stop;
    return $end - ($day + $h * 3600 + $m * 60 + $s);
}

# The bulks that Weir makes of these files.
sub record
{
    my (@files) = @_;
    my $fake = Fakesearch->new($dir, answer => sub { Fakesearch::items($_[2]) });
    from_relay($fake->url, 1, @files);
    my ($at, $path, @bulks) = (0);
    open my $in, '<:raw', $fake->{log} or die;
    my $out;
    while (my $line = readline $in) {
        if (my ($to) = $line =~ m{^(?:GET|POST) (\S+) items=}) {
            undef $out;
            next if $to !~ /_bulk/;
            $path = $to;
            push @bulks, "$dir/bulk" . ++$at;
            open $out, '>:raw', $bulks[-1] or die;
            next;
        }
        print $out $line if $out;
    }
    close $out if $out;
    $fake->end;
    return ($path, @bulks);
}

# Each connection posts its share of the bulks.
sub loop
{
    my ($path, $connections, @bulks) = @_;
    my $start = Time::HiRes::time();
    my @children = map {
        my $k   = $_;
        my $pid = fork // die;
        if (!$pid) {
            open STDOUT, '>', "$dir/loop$k";
            exec {"$dir/bulk_loop"} 'bulk_loop', $search->url . $path,
                @bulks[ grep { $_ % $connections == $k } 0 .. $#bulks ]
                or POSIX::_exit(127);
        }
        $pid;
    } 0 .. $connections - 1;
    for my $pid (@children) {
        waitpid $pid, 0;
        die "bulk_loop fails\n" if $?;
    }
    return Time::HiRes::time() - $start;
}

sub fresh
{
    $search->ask('DELETE', '/docs');
    $search->ask('PUT', '/docs', { settings => { number_of_shards => 1,
        number_of_replicas => 0, refresh_interval => -1 } });
    return;
}

my $bench = "$ENV{WEIR_SOURCE}/t/bench";
run_command("cc -O2 -o '$dir/wait_page' -I'$ENV{WEIR_SOURCE}/core'"
        . " -I'$ENV{WEIR_SOURCE}/core/include' '$bench/wait_page.c'");
run_command("cc -O2 -o '$dir/bulk_loop' '$bench/bulk_loop.c' -lcurl");
my @files = fill();
my ($path, @bulks) = record(@files);
my $size = 0;
$size += -s $_ for @bulks;
printf "%d documents in %d bulks, %.0f MB\n", $n, scalar @bulks, $size / 1e6;
fresh();
loop($path, 1, @bulks);    # its caches, and the compiler in it, are warm
my $row = "%-50s %-20s %s\n";
for my $lanes (1, 2) {
    my (@ours, @theirs);
    for my $round (1 .. $rounds) {
        for my $who ($round % 2 ? qw(ours theirs) : qw(theirs ours)) {
            fresh();
            if ($who eq 'ours') {
                push @ours, from_relay($search->url, $lanes, @files);
            } else {
                push @theirs, loop($path, $lanes, @bulks);
            }
            die "not all documents are there\n" if $search->count('docs') != $n;
        }
    }
    my $on = $lanes == 1 ? 'one lane' : "$lanes lanes";
    printf $row, "(f) relay -> OpenSearch, $on",
        sprintf('%.1f k documents/s', $n / 1000 / median(@ours)), '';
    printf $row, '(f) a bare loop of the same bulks',
        sprintf('%.1f k documents/s', $n / 1000 / median(@theirs)), '';
    printf $row, '(f) ratio', sprintf('%.2f', median(@theirs) / median(@ours)), 'wanted >= 0.9';
}
$t->close_all;
