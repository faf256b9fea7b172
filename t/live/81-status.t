# weirctl status in each state that something can be in: within a second, with
# why it does not run, and what to do or what comes next.
use Weir;
use JSON::PP;
use Time::HiRes qw(time);
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->mariadb;
my ($dir, $nobody) = ($t->dir, $t->free_port);
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, body VARCHAR(1000))',
    "INSERT INTO shop.t VALUES (0, '')");
my $gone = $db->gtids;
$db->do("INSERT INTO shop.t VALUES (-1, '')", 'FLUSH BINARY LOGS');
my ($last) = map { $_->[0] } reverse $db->rows('SHOW BINARY LOGS');
wait_for('the files are purged', 30, sub {
    $db->do("PURGE BINARY LOGS TO '$last'");
    $db->rows('SHOW BINARY LOGS') == 1;
});
my $source = shop_source($db, 'start = now');
my $purged = shop_source($db, qq(start = "gtid:$gone"));
my $from   = shop_source($db);
my $wrong  = $source =~ s/"secret"/"wrong"/r;
my $down   = $source =~ s/port = \d+/port = $nobody/r;

# A file system of its own that is soon full, where that can be had; the guard of
# Weir.pm takes it away.
my $small = $t->make_dir('small');
my $mounted = $> == 0 && system("mount -t tmpfs -o size=256k weir-test $small 2>/dev/null") == 0;
my $disk = $mounted ? <<"EOT" : '';
pipeline disk { $source  sink lines { file { root = "$small"  path = "t.jsonl" } } }
EOT
$t->expect_log(qr/./);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline purged { $purged  sink s { null { } } }
pipeline wrong { $wrong  sink s { null { } } }
pipeline down { $down  sink s { null { } } }
pipeline full {
    $source
    relay { size = 4m  segment = 1m }
    sink away { redis { host = "127.0.0.1"  port = $nobody  key = "t:{i}" } }
    sink held { null { } }
    sink bad { tables = {"shop.bad"}  file { root = "$dir/files"  path = "{nothing}.jsonl" } }
}
pipeline hung { $source  sink s { null { } } }
$disk
EOT

# Of PIPELINE/NAME; and how long it took.
sub status_of
{
    my ($pipeline, $name) = split m{/}, $_[0];
    my $began = time;
    my ($exit, $text) = $weir->ctl('status', '--json');
    my $took = time - $began;
    my ($p) = grep { $_->{name} eq $pipeline } @{ decode_json($text)->{pipelines} };
    my ($w) = grep { $_->{name} eq $name } @{ $p->{workers} };
    return ($w, $took, $exit);
}

$weir->ctl('pause', 'full/held', 'for', 'a', 'test');
wait_for('the sources are there', 30, sub { (status_of("$_/source"))[0]{state} eq 'running' || return 0 for qw(full hung); 1 });
for my $i (1 .. 15) {
    $db->do("INSERT INTO shop.t SELECT seq + $i * 1000, REPEAT('x', 1000) FROM shop.seq_1_to_1000");
}
$db->do('CREATE TABLE shop.bad (i INT PRIMARY KEY)', 'INSERT INTO shop.bad VALUES (1)');
my $pid = $weir->worker_pid('sink hung/s');
kill 'STOP', $pid;

# state, why, what to do or what comes
my @cases = (
    [ 'purged/source', 'stopped', qr/purged|no longer has/i, qr/remove|begin|copy|mend it/i ],
    [ 'purged/s',      undef, qr/waits for the source/, qr// ],
    [ 'wrong/source',  'waiting', qr/Access denied/, qr/mend the account.*tried again/ ],
    [ 'wrong/s',       undef, qr/waits for the source/, qr// ],
    [ 'down/source',   'waiting', qr/127\.0\.0\.1.*$nobody/, qr/tried again/ ],
    [ 'down/s',        undef, qr/waits for the source/, qr// ],
    [ 'full/away',     'waiting', qr/127\.0\.0\.1:$nobody: Connection refused/, qr/tried again/ ],
    [ 'full/held',     'paused',  qr/for a test/, qr/weirctl resume full.held/ ],
    [ 'full/source',   'full',    qr/fills relay/, qr/see which one is behind/ ],
    [ 'hung/s',        undef,     qr/no sign of life for \d+ s/, qr/starts it anew/ ],
    $mounted ? [ 'disk/lines', qr/^(?:waiting|stopped)$/, qr/No space left|no room/i, qr/tried again|mend it/ ] : (),
);
for my $case (@cases) {
    my ($who, $state, $why, $then) = @$case;
    my ($w, $took, $exit);
    eval {
        wait_for("$who as expected", 20, sub {
            ($w, $took, $exit) = status_of($who);
            kill 'STOP', $pid = $weir->worker_pid('sink hung/s') // $pid if $who =~ /hung/;
            return $w->{why} =~ $why && (!defined $state || $w->{state} =~ /^$state$/);
        });
    };
    ok(!defined $state || $w->{state} =~ /^$state$/, "$who is " . ($state // 'silent')) or diag $w->{state};
    like($w->{why}, $why,  '  why');
    like($w->{why}, $then, '  and what to do');
    cmp_ok($took, '<', 1 * $Weir::Slow, '  within a second');
    is($exit, 1, '  exit status');
}
is((status_of('down/s'))[0]{behind_bytes}, undef, 'who stands nowhere yet is not said to be behind by 0 bytes');
unlike(($weir->ctl('lag'))[1], qr{^down/s .* B }m, '  nor in the table');
SKIP: {
    Test::More::skip('disk full: no file system of its own can be mounted here', 1) if !$mounted;
    ok(1, 'disk full was one of them');
}
$t->done;
