# Each kind of sink that takes no server of its own but Redis: kill -9 of its
# worker, of the source worker and of the master at random moments under load.
# Of a table without a key nothing is lost, nothing is twice where that is
# promised, the order is kept; how soon each is written to again is measured.
use Weir;
use Weir::Load;
use Weir::Shop;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{WEIR_KILLS} // 3;
my $t      = Weir->new;
my $db     = $t->mariadb;
my $redis  = $t->redis;
my $dir    = $t->dir;
plan(skip_all => 'the modules are not built')
    if grep { !-e "$ENV{WEIR_BUILD}/.libs/sink_$_.so" } qw(redis exec);
$t->make_dir($_) for qw(files said);
$db->make_weir_user;
my $load = Weir::Load->new($db, ddl => 0, pause_ms => 3)->create_tables;

# Appends the numbers that it is given; says ok when they are written.
my $program = "$dir/program";
open my $out, '>', $program or die;
print {$out} <<"EOC";
#!$^X
\$| = 1;
open my \$said, '>>', '$dir/said/numbers' or die;
print "ready\\n";
my \$text = '';
while (<STDIN>) {
    \$text .= "\$1\\n" if /"after":\\{"n":(\\d+),"what":"load"/;
    next if !/^end/;
    syswrite \$said, \$text;
    \$text = '';
    print "ok\\n";
}
EOC
close $out;
chmod 0755, $program;

my ($source, $port) = (shop_source($db), $redis->port);
my $ledger = 'tables = {"shop.ledger"}  events = 20';
my $once   = "$ledger  guarantee = exactly-once";
my $rows   = 'events = 20  guarantee = exactly-once';
my $weir   = $t->weir(config => <<"EOC")->start;
pipeline shop {
    $source
    relay { size = 256m  segment = 1m }
    sink hash   { tables = {"shop.users"}   $rows  redis { port = $port  key = "users:{id}" } }
    sink lanes  { tables = {"shop.orders"}  $rows  lanes = 3
                  redis { port = $port  key = "orders:{number}:{line}" } }
    sink json   { $once  redis { port = $port  command = json    key = "json:{n}" } }
    sink string { $once  redis { port = $port  command = string  key = "string:{n}"  column = what } }
    sink stream { $once  redis { port = $port  command = stream  key = "stream"  format = row } }
    sink file   { $once  file { root = "$dir/files"  path = "{database}/{table}.jsonl" } }
    sink program { $ledger  exec { command = {"$program"} } }
}
EOC
my (%took, $mark);
my $kills = 0;
my @sinks = qw(hash lanes json string stream file program);
$t->expect_log(qr/signal 9/);
diag 'seed ' . seed() . ", $rounds rounds";

# ---- What changes with each batch that is acknowledged

sub checkpoint
{
    my ($key) = @_;
    return $redis->ask('HGET', "weir:checkpoint:shop/$key", 'data') // '';
}

my %progress = (
    (map { my $sink = $_; $sink => sub { checkpoint($sink) } } qw(hash lanes json string stream)),
    file    => sub { -s ledger_path($dir) // 0 },
    program => sub { -s "$dir/said/numbers" // 0 },
);

# Kills it; gives the moment at which it is dead.
sub kill_worker
{
    my ($who) = @_;
    my $pid = $weir->wait_worker($who);
    CORE::kill 'KILL', $pid;
    wait_for("end of $who", 10,
        sub { (Weir::read_file("/proc/$pid/stat") // ') Z') =~ /\) Z/ });
    $kills++;
    return time;
}

# Until each of them moves; the times that it took since then.
sub until_written
{
    my ($since, @who) = @_;
    my %had = map { $_ => $progress{$_}->() } @who;
    my @took;
    wait_for("@who: written to again", 60, sub {
        for my $sink (sort keys %had) {
            next if $progress{$sink}->() eq $had{$sink};
            push @took, time - $since;
            delete $had{$sink};
        }
        return !%had;
    });
    return @took;
}

# A row for the sink `hash`; its key there.
sub new_user
{
    my $id = 8_000_000_000 + ++$mark;
    $db->do("INSERT INTO shop.users (id, name) VALUES ($id, 'mark')");
    return "users:$id";
}

# ---- What has to hold

sub numbers
{
    my ($what, $once, @have) = @_;
    my @want = map { $_->[0] }
        $db->rows("SELECT n FROM shop.ledger WHERE what = 'load' ORDER BY n");
    my %times;
    my @first = grep { !$times{$_}++ } @have;
    my @lost = grep { !$times{$_} } @want;
    is(scalar @lost, 0, "$what: nothing lost of " . @want);
    is(join(',', @first), join(',', sort { $a <=> $b } @first), "$what: in order");
    my $twice = @have - @first;
    $once ? is($twice, 0, "$what: nothing twice") : note "$what: $twice of " . @have . ' came again';
    return $twice;
}

sub stream
{
    return map { $_->[1][1] =~ /^\{"n":(\d+),"what":"load"/ ? $1 : () }
        @{ $redis->ask('XRANGE', 'stream', '-', '+') };
}

sub said { return Weir::Server::lines_of("$dir/said/numbers") }

sub keys_of
{
    my ($prefix) = @_;
    return sort { $a <=> $b } map { /:(\d+)$/ } @{ $redis->ask('KEYS', "$prefix:*") };
}

# Keys whose values are not what they should be, the first few.
sub wrong_values
{
    my ($kind, @n) = @_;
    my @values = $redis->pipeline(map { [ 'GET', "$kind:$_" ] } @n);
    my @wrong = grep {
        $values[$_] ne ($kind eq 'json' ? qq({"n":$n[$_],"what":"load"}) : 'load')
    } 0 .. $#n;
    splice @wrong, 5 if @wrong > 5;
    return join ' ', map { "$kind:$n[$_]=$values[$_]" } @wrong;
}

sub compare
{
    my ($when) = @_;
    my $user = new_user();
    my @lines = map { ++$mark } 1 .. 30;
    $db->do("INSERT INTO shop.ledger VALUES (0, 'mark')",
        map { "INSERT INTO shop.orders (number, line) VALUES ('mark', $_)" } @lines);
    my $n = $db->value("SELECT MAX(n) FROM shop.ledger");
    wait_for("$when: all is there", 120, sub {
        $redis->ask('EXISTS', $user, (map { ("json:$_", "string:$_") } 0, $n),
            map { "orders:mark:$_" } @lines) == 35
            && ((said())[-1] // 0) == $n
            && (Weir::Server::lines_of(ledger_path($dir)))[-1] =~ /"mark"/
            && (stream())[-1] == $n;
    });
    for (['users', 'users:*', sub { "users:$_[0]{id}" }],
        [ 'orders', 'orders:*', sub { "orders:$_[0]{number}:$_[0]{line}" } ])
    {
        my ($table, $pattern, $key) = @$_;
        my ($rows, @wrong) = Weir::Compare::same_as_hashes($db, $redis, 'shop', $table, $pattern, $key);
        is(join("\n", @wrong), '', "$when: $rows $table are the same");
    }
    numbers("$when, stream", 1, stream());
    numbers("$when, file", 1, ledger_numbers($dir));
    my $want = $db->value("SELECT COUNT(DISTINCT n) FROM shop.ledger");
    for my $kind (qw(json string)) {
        my @have = keys_of($kind);
        is(scalar @have, $want, "$when, $kind: $want keys");
        is(wrong_values($kind, grep { $_ } @have), '', "$when, $kind: each is as it should be");
    }
    return numbers("$when, program", 0, said());
}

# ---- The rounds

$load->start;
for my $round (1 .. $rounds) {
    for my $sink (@sinks) {
        sleep rand 0.2;    # the moment is the point
        push @{ $took{$sink} }, until_written(kill_worker("sink shop/$sink"), $sink);
    }
    sleep rand 0.2;
    my $since = kill_worker('source shop');
    my $user  = new_user();
    wait_for('the source goes on', 60, sub { $redis->ask('EXISTS', $user) });
    push @{ $took{'the source'} }, time - $since;
    sleep rand 0.2;
    $since = time;
    $weir->crash;
    $kills++;
    $weir->launch;
    push @{ $took{'all of it'} }, until_written($since, @sinks);
    next if $round % 10;
    $load->stop;
    compare("round $round");
    $load->start;
}
$load->stop;
compare("after $kills kills");
for my $who (sort keys %took) {
    my @s = sort { $a <=> $b } @{ $took{$who} };
    note sprintf '%-10s killed %d times: written to again after p50 %.2f s, p95 %.2f s', $who,
        scalar @s, $s[ $#s / 2 ], $s[ $#s * 0.95 ];
}
$t->done;
