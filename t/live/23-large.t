# One transaction that is many times as large as the memory that each process may
# take, with a reload and an end in its middle: all rows once, in order.  In a long
# run it has 2 GiB, and there is a row of 100 MiB.
use Weir;
use Weir::Shop;
use Digest::MD5 qw(md5_hex);

my $t    = Weir->new;
my $rows = long_run() ? 262_144 : 16_384;    # of 8 KiB
my $db   = $t->mariadb(cnf => 'innodb_log_file_size = 1G');
my $dir  = $t->dir;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(9000))');
my $source = shop_source($db);
my $relay  = long_run() ? 'size = 4g' : 'size = 512m';

sub config
{
    my ($events) = @_;
    return <<"EOT";
pipeline shop {
    $source
    relay { $relay }
    transform less { columns { drop = {"shop.t.body"} } }
    sink lines { events = $events  file { root = "$dir/files"  path = "{table}.jsonl"  format = row } }
}
EOT
}
my $weir = $t->weir(config => config(1000))->start;

# The most that a process took, of its own: RssAnon, as the rest is files.
my %most;

sub look
{
    my $workers = $weir->workers;
    for my $title (keys %$workers) {
        my ($kb) = (Weir::read_file("/proc/$workers->{$title}/status") // '') =~ /^RssAnon:\s+(\d+) kB/m;
        my $who = $title =~ /(master|source|sink)/ ? $1 : next;
        $most{$who} = $kb if defined $kb && $kb > ($most{$who} // 0);
    }
    return;
}

sub lines { return Weir::Server::lines_of("$dir/files/t.jsonl") }

# Until that is so; what the processes take is looked at meanwhile.
sub meanwhile
{
    my ($what, $code) = @_;
    wait_for($what, long_run() ? 600 : 60, sub { look(); $code->() });
    return;
}
$db->do("INSERT INTO shop.t SELECT seq, REPEAT('x', 8192) FROM shop.seq_1_to_$rows");
my $used = sub { my $n = 0; $n += -s for glob $weir->state . '/shop/relay/*.relay'; $n };
meanwhile('some of it in the relay', sub { $used->() > 16 << 20 });
my ($exit, $said) = $weir->reload(config(500));
is($exit, 0, 'a reload while it comes') or diag $said;
$weir->crash_worker('source shop');
meanwhile('some of it in the file', sub { -s "$dir/files/t.jsonl" });
($exit, $said) = $weir->reload(config(700));
is($exit, 0, 'a reload while it goes') or diag $said;
meanwhile('more of it', sub { my @n = lines(); @n > $rows / 20 });
$weir->kill('TERM');
wait_for('end of weir', 30, sub { $t->ended($weir->{pid}) });
$weir->start;
meanwhile('all of it', sub { my @n = lines(); @n >= $rows });
my $wrong = 0;
my $n     = 0;
$wrong += $_ ne '{"i":' . ++$n . '}' for lines();
is($n, $rows, 'as many rows');
is($wrong, 0, 'each once, in order');
$t->expect_log(qr/signal 9/, qr/the last line \d+ more/);
for my $who (sort keys %most) {
    note sprintf '%s: at most %.1f MiB', $who, $most{$who} / 1024;
    cmp_ok($most{$who}, '<', 64 * 1024, "$who stays within 64 MiB") if $Weir::Slow == 1;
}

SKIP: {
    Test::More::skip('a row of 100 MiB: in a long run', 2) if !long_run();
    my $redis = $t->redis;
    my $port  = $redis->port;
    ($exit) = $weir->reload(config(700) =~ s/^\}/    sink big { tables = {"shop.big"}  redis { port = $port  key = "big:{i}" } }\n}/mr);
    my $unit = 'one hundred mebibytes in one row, 50 bytes a time.';
    my $times = int 104_857_600 / length $unit;
    %most = ();
    $db->do('CREATE TABLE shop.big (i INT PRIMARY KEY, body LONGTEXT)',
        "INSERT INTO shop.big VALUES (1, REPEAT('$unit', $times))");
    meanwhile('the row', sub { $redis->ask('EXISTS', 'big:1') });
    is(md5_hex($redis->ask('HGET', 'big:1', 'body')), md5_hex($unit x $times), '100 MiB in Redis, unaltered');
    meanwhile('the line', sub { (-s "$dir/files/big.jsonl" // 0) > $times * length $unit });
    my ($line) = Weir::Server::lines_of("$dir/files/big.jsonl");
    is(md5_hex($line), md5_hex('{"i":1,"body":"' . $unit x $times . '"}'), 'and in a file');
    note sprintf '%s: at most %.1f MiB', $_, $most{$_} / 1024 for sort keys %most;
}
$t->done;
