# Several lanes, for what keeps events and not rows: under a load with hot keys,
# keys that change and keys that are taken away and come back, each event has
# the next number of its key.  With 1, 4 and 8 lanes, and with their number
# changed ten times meanwhile, each key's numbers are complete and in order, in
# streams and with a program; strings and hashes end equal.  A row whose key has
# a NULL is put aside, and no lane waits for it.
use Weir;
use Weir::Shop;
use Time::HiRes qw(sleep);

my $t     = Weir->new;
my $db    = $t->mariadb;
my $redis = $t->redis(durable => 1);
my $dir   = $t->dir;
plan(skip_all => 'the modules are not built')
    if grep { !-e "$ENV{WEIR_BUILD}/.libs/sink_$_.so" } qw(redis exec);
$t->make_dir('said');
$db->make_weir_user;
$db->do('CREATE DATABASE shop',
    'CREATE TABLE shop.t (k INT PRIMARY KEY, n INT NOT NULL, tag INT)');
diag 'seed ' . seed();

# Each lane's program adds to the same file, with one write for each event.
my $program = "$dir/program";
open my $out, '>', $program or die;
print {$out} <<"EOC";
#!$^X
\$| = 1;
open my \$said, '>>', '$dir/said/events' or die;
print "ready\\n";
while (<STDIN>) {
    syswrite \$said, "\$1 \$2\\n" if /"after":\\{"k":(\\d+),"n":(\\d+)/;
    print "ok\\n" if /^end/;
}
EOC
close $out;
chmod 0755, $program;

sub config
{
    my ($lanes) = @_;
    my ($source, $port) = (shop_source($db), $redis->port);
    my $all = 'tables = {"shop.t"}  events = 25';
    return <<"EOC";
pipeline shop {
    $source
    relay { size = 256m  segment = 1m }
    sink hash   { $all  lanes = $lanes  redis { port = $port  key = "hash:{k}" } }
    sink string { $all  lanes = @{[ 9 - $lanes ]}  redis { port = $port  command = string  key = "string:{k}"  column = n } }
    sink stream { $all  lanes = $lanes  guarantee = exactly-once
                  redis { port = $port  command = stream  key = "stream:{k}"  format = row } }
    sink program { $all  lanes = $lanes  exec { command = {"$program"} } }
    sink tagged { $all  lanes = $lanes  on_reject = dead_letter
                  redis { port = $port  key = "tag:{tag}:{k}" } }
}
EOC
}
my @sinks = qw(hash string stream program tagged);

# ---- The load: what is next for each key is known here

my (%next, %tag, %good, $stop, $child, $report);
my ($hot, $refused) = (4, 0);

# A key is one of the hot ones half of the time.
sub some_key { return rand() < 0.5 ? 1 + int rand $hot : 1 + int rand 200 }

# The row $k becomes $to, or a new one if there is none, with that tag; neither
# may be NULL for `tagged`.
sub put
{
    my ($k, $to, $tag) = @_;
    my $is_new = !exists $tag{$k};
    my $wrong = $tag eq 'NULL' || !$is_new && $tag{$k} eq 'NULL';
    delete $tag{$k};
    $tag{$to}  = $tag;
    $good{$to} = !$wrong;
    $refused += $wrong;
    my $n = ++$next{$to};
    return $is_new ? "INSERT INTO shop.t VALUES ($to, $n, $tag)"
        : "UPDATE shop.t SET k = $to, n = $n, tag = $tag WHERE k = $k";
}

sub statement
{
    my ($k, $to, $r) = (some_key(), some_key(), rand);
    my $tag = rand() < 0.05 ? 'NULL' : int rand 50;
    if (exists $tag{$k} && $r < 0.1) {
        $refused += delete($tag{$k}) eq 'NULL';
        return "DELETE FROM shop.t WHERE k = $k";
    }
    my $moves = exists $tag{$k} && !exists $tag{$to} && $r < 0.3;
    return put($k, $moves ? $to : $k, $tag);
}

sub transactions
{
    my ($n) = @_;
    my $client = $db->client;
    $client->do('BEGIN', (map { statement() } 1 .. 1 + int rand 5), 'COMMIT') for 1 .. $n;
    return;
}

# In a child, until load_stop(), that says then what is next for each key.
sub load_start
{
    pipe(my $stop_read, $stop) or die;
    pipe($report, my $said) or die;
    my $seed = int rand 1e9;
    $child = fork // die "fork: $!\n";
    if (!$child) {
        close $_ for $stop, $report, $t->{guard};
        srand $seed;
        my $set = '';
        vec($set, fileno $stop_read, 1) = 1;
        my $ok = eval {
            transactions(5) until select(my $ready = $set, undef, undef, 0.005) > 0;
            1;
        };
        print STDERR $@ if !$ok;
        print {$said} join(' ', $_, $next{$_}, $tag{$_} // '-', $good{$_} // 0), "\n" for keys %next;
        print {$said} "refused $refused\n";
        close $said;
        POSIX::_exit($ok ? 0 : 1);
    }
    close $_ for $stop_read, $said;
    return;
}

sub load_stop
{
    close $stop;
    %tag = ();
    while (my $line = readline $report) {
        my ($k, $n, $tag, $good) = split ' ', $line;
        if ($k eq 'refused') {
            $refused = $n;
            next;
        }
        ($next{$k}, $good{$k}) = ($n, $good);
        $tag{$k} = $tag if $tag ne '-';
    }
    waitpid $child, 0;
    is($?, 0, 'the load ended well');
    return;
}

# ---- What has to hold

# Complete and growing, else what is wrong with it, in a few words.
sub wrong_order
{
    my ($who, $k, @have) = @_;
    my %seen;
    @have = grep { !$seen{$_}++ } @have if $who eq 'program';    # at least once
    my $want = join ' ', 1 .. $next{$k};
    return if "@have" eq $want;
    my $i = 0;
    $i++ while $i < @have && $have[$i] == $i + 1;
    return "$who, key $k: " . join(' ', grep { defined } @have[ $i .. $i + 3 ])
        . ' behind ' . $i . ', of ' . $next{$k};
}

sub in_stream
{
    my ($k) = @_;
    return map { $_->[1][1] =~ /^\{"k":$k,"n":(\d+)/ ? $1 : () }
        @{ $redis->ask('XRANGE', "stream:$k", '-', '+') };
}

sub said
{
    my %said;
    for (Weir::Server::lines_of("$dir/said/events")) {
        my ($k, $n) = split ' ';
        push @{ $said{$k} }, $n;
    }
    return \%said;
}

# Rows for all lanes; then all that stands before them is done.
my $mark = 100_000;

sub all_arrived
{
    my ($what) = @_;
    my @marks = map { ++$mark } 1 .. 60;
    $next{$_} = $tag{$_} = $good{$_} = 1 for @marks;
    $db->do('INSERT INTO shop.t VALUES ' . join ',', map { "($_, 1, 1)" } @marks);
    wait_for("$what: all lanes have it", 60, sub {
        return $redis->ask('EXISTS', map { my $k = $_; map { "$_:$k" } qw(hash string stream tag:1) } @marks) == 240;
    });
    wait_for("$what: the programs have it", 60, sub { my $said = said(); !grep { !$said->{$_} } @marks });
    return;
}

sub check
{
    my ($what) = @_;
    all_arrived($what);
    my $said = said();
    my @wrong = map { my $k = $_; (wrong_order('stream', $k, in_stream($k)),
        wrong_order('program', $k, @{ $said->{$k} // [] })) } sort { $a <=> $b } keys %next;
    splice @wrong, 5 if @wrong > 5;
    my $events = 0;
    $events += $_ for values %next;
    is(join("\n", @wrong), '', "$what: $events events of " . keys(%next) . ' keys, each in order');
    my %rows = map { $_->[0] => $_ } $db->rows('SELECT k, n, tag FROM shop.t');
    is(same_rows('string', \%rows, sub { $redis->ask('GET', "string:$_[0]") },
        sub { $_[0][1] }), '', "$what: strings are the same");
    is(same_rows('hash', \%rows, sub { my $h = $redis->hash("hash:$_[0]");
        join ' ', map { $_ // 'NULL' } @$h{qw(k n tag)} }, sub { join ' ', @{ $_[0] } }), '',
        "$what: hashes are the same");
    return;
}

sub same_rows
{
    my ($kind, $rows, $have, $want) = @_;
    my %there = map { /:(\d+)$/ ? ($1 => 1) : () } @{ $redis->ask('KEYS', "$kind:*") };
    my @wrong = map { "$kind:$_ is there" } grep { !$rows->{$_} } keys %there;
    for my $k (keys %$rows) {
        my ($is, $should) = ($there{$k} ? $have->($k) // '' : 'missing', $want->($rows->{$k}));
        push @wrong, "$kind:$k is $is, not $should" if $is ne $should;
    }
    splice @wrong, 5 if @wrong > 5;
    return join "\n", @wrong;
}

# ---- 1, 4 and 8; and ten changes while they are busy

my $some = long_run() ? 2000 : 300;
transactions($some);
my $weir = $t->weir(config => config(1))->start;
check('1 lane');
for my $lanes (4, 8) {
    my ($exit, $said) = $weir->reload(config($lanes));
    is($exit, 0, "reload to $lanes lanes") or diag $said;
    transactions($some);
    check("$lanes lanes");
}
load_start();
for my $lanes (1, 4, 8, 2, 7, 3, 8, 1, 6, 4) {
    sleep(long_run() ? 2 : 0.2);
    my ($exit, $said) = $weir->reload(config($lanes));
    is($exit, 0, "reload to $lanes lanes") or diag $said;
}
load_stop();
check('ten changes');
my @lines = Weir::Server::lines_of("$dir/said/events");
my %times;
$times{$_}++ for @lines;
note scalar(grep { $_ > 1 } values %times), ' of ', scalar keys %times, ' events came to the program again';

# Those with a NULL in a key, old or new, are put aside, and no others.
my ($status, $said) = $weir->ctl('dead', 'list', 'tagged', '--json');
my $letters = () = $said =~ /"id":/g;
is($letters, $refused, "$refused events with NULL in a key are dead letters");
my @wrong;
for my $k (grep { $good{$_} && exists $tag{$_} } sort keys %tag) {
    my $have = $redis->hash("tag:$tag{$k}:$k");
    push @wrong, "$k: " . ($have->{n} // 'none') . ", not $next{$k}"
        if ($have->{n} // '') ne $next{$k};
}
is(join("\n", @wrong), '', 'each row with a key is there as it is');
$t->done;
