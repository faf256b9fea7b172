# What a sink will not have parks its table, by default: the others go on; what
# is kept survives kill -9, and is applied in its order, once, when a person
# says so.
use Weir;
use Weir::Shop;

my $t = Weir->new;
$t->make_dir('files');
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, k INT)',
    'CREATE TABLE shop.u (i INT PRIMARY KEY, k INT)');
my ($source, $port) = (shop_source($db), $redis->port);
my $config = <<"EOT";
pipeline shop {
    $source
    sink cache { redis { host = "127.0.0.1"  port = $port  key = "{table}:{k}" } }
    sink lines { file { root = "$dir/files"  path = "{table}-{k}.jsonl" } }
}
EOT
my $weir = $t->weir(config => $config)->start;
$t->expect_log(qr/ is parked: /, qr/died of signal 9/, qr/the last line \d+ more/);

# The keys of lines in all files of a table, in order of their versions.
sub lines_of
{
    my ($table) = @_;
    my @found;
    for my $file (glob "$dir/files/$table*.jsonl") {
        for my $line (Weir::Server::lines_of($file)) {
            my ($i) = $line =~ /"after":\{"i":(\d+)/ or next;
            my ($seq) = $line =~ /"seq":"?(\d+)/;
            push @found, [ $seq, $i ];
        }
    }
    return join ' ', map { $_->[1] } sort { length $a->[0] <=> length $b->[0]
        || $a->[0] cmp $b->[0] } @found;
}

sub insert
{
    my ($table, $i, $k) = @_;
    $db->do("INSERT INTO shop.$table VALUES ($i, $k)");
    return;
}

# Behind it, all before it was seen to.
sub passed
{
    my ($i) = @_;
    insert('u', $i, $i);
    wait_for("u $i in Redis", 30, sub { $redis->ask('EXISTS', "u:$i") });
    wait_for("u $i in files", 30, sub { lines_of('u') =~ /\b$i\b/ });
    return;
}

insert('t', 1, 1);
insert('t', 2, 'NULL');
insert('t', 3, 3);
passed(100);
for my $sink (qw(cache lines)) {
    my $line = $weir->wait_log(qr{ error \d+ shop/$sink: table shop\.t is parked});
    like($line, qr/NULL.*weirctl park resume shop\/$sink shop\.t/, "$sink: why, and what to do");
    is($weir->status->{$sink}{state}, 'running', "$sink runs on");
}
is(lines_of('t'), '1', 'what stood before is written, nothing behind it');

# More of it, with kill -9 in between.
for my $n (1 .. 4) {
    insert('t', 10 * $n, 10 * $n);
    $weir->crash_worker('sink shop/cache') if $n % 2;
    $weir->crash_worker('sink shop/lines') if $n > 2;
    $db->do("UPDATE shop.t SET k = k + 1 WHERE i = " . 10 * $n);
    passed(100 + $n);
}
my ($status, $said) = $weir->ctl('park', 'list', '--json');
is($status, 0, 'park list');
my @kept = $said =~ /"rows":"(\d+)"/g;
like("@kept", qr/^(?:9|10) 10$/, 'each row is kept once') or diag $said; # Redis may have had one
($status, $said) = $weir->ctl('park', 'show', 'lines', 'shop.t');
is(scalar(() = $said =~ /^\{/mg), 10, 'park show: an object for each event');
like($said, qr/"reason":"shop\.t.*NULL/, 'with the reason');
like($said, qr/"k":null/, 'the row decoded');
like($said, qr/"raw":"[0-9a-f]{40,}"/, 'and as logged');
like($weir->status_text, qr/weirctl park list/, 'status says how to mend it');

# Not mended: it stays.
($status, $said) = $weir->ctl('park', 'resume', 'lines', 'shop.t');
is($status, 1, 'refused again');
like($said, qr/NULL/, 'with the reason');
passed(110);
is(lines_of('t'), '1', 'and nothing behind it is applied');

$config =~ s/\{table\}:\{k\}/{table}:{i}/;
$config =~ s/\{table\}-\{k\}/{table}/;
my ($exit, $words) = $weir->reload($config);
is($exit, 0, 'mended') or diag $words;
insert('t', 50, 50);
$db->do('INSERT INTO shop.u VALUES (111, 111)');
wait_for('u 111', 30, sub { $redis->ask('EXISTS', 'u:111') });
is($redis->ask('EXISTS', 't:50'), 0, 'mended, it is parked until it is resumed');
$db->do(map { "INSERT INTO shop.t VALUES ($_, $_)" } 1000 .. 2999);
passed(112);
for my $sink (qw(cache lines)) {
    my $killer = fork // die "fork: $!";
    if (!$killer) { # kill -9 while it is applied
        for (1 .. 3) {
            Time::HiRes::sleep(0.15);
            my $pid = $weir->worker_pid("sink shop/$sink");
            CORE::kill 'KILL', $pid if $pid;
        }
        POSIX::_exit(0);
    }
    ($status, $said) = $weir->ctl('park', 'resume', $sink, 'shop.t');
    waitpid $killer, 0;
    is($status, 0, "$sink: resumed") or diag $said;
    like($said, qr/joins the stream|not parked/, 'says so');
}
insert('t', 60, 60);
wait_for('the table is in the stream again', 30,
    sub { $redis->ask('EXISTS', 't:60') && lines_of('t') =~ / 60$/ });
is(lines_of('t'), join(' ', qw(1 2 3 10 10 20 20 30 30 40 40 50), 1000 .. 2999, 60), 'in order, nothing lost, nothing twice');
my %want = map { $_->[0] => $_->[1] } $db->rows('SELECT i, k FROM shop.t WHERE i > 1');
my $same = grep { ($redis->hash("t:$_")->{k} // 'NULL') eq ($want{$_} // 'NULL') } keys %want;
is($same, scalar keys %want, 'Redis has what the database has');
($status, $said) = $weir->ctl('park', 'list');
like($said, qr/no table is parked/, 'and none is parked');
is(scalar(my @left = glob $weir->state . '/shop/*/park/*'), 0, 'no folder is left');

# A template without its column.
my $mark = $weir->log_mark;
$db->do('ALTER TABLE shop.u CHANGE i j INT', 'INSERT INTO shop.u VALUES (200, 200)');
my $line = $weir->wait_log(qr/ error .*table shop\.u is parked: .*\bi\b/, from => $mark);
like($line, qr{shop/(?:cache|lines)}, 'a column that the key needs is gone: parked');
$t->done;
