# What a sink says of a batch, and what comes of it: tried again, alone or with
# the events of its key behind it; refused, searched for; PENDING; by key with
# several lanes, and by transaction with commits in order.
use Weir;
use Weir::Shop;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP ();

my $here    = dirname(abs_path($0));
my $t       = Weir->new;
my $dir     = $t->dir;
my $modules = $t->make_dir('modules');
my $cc      = ($ENV{CC} // 'cc') . " -shared -fPIC -Wall -Wextra -Werror";
is(system("$cc -I$t->{prefix}/include $here/sink_verdict.c -o $modules/sink_verdict.so"),
    0, 'build sink_verdict');
is(system("$cc -DRESTORES -I$t->{prefix}/include $here/sink_verdict.c -o $modules/sink_units.so"),
    0, 'build sink_units');
my $db = $t->database;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (k INT PRIMARY KEY, v INT)');
my %serial;

sub orders
{
    my ($name, @lines) = @_;
    # Another size each time: that is how it is seen to be new.
    my $pad = '#' x ++$serial{$name};
    open my $out, '>', "$dir/$name.new" or die;
    print $out map { "$_\n" } @lines, "# $pad";
    close $out or die;
    rename "$dir/$name.new", "$dir/$name.orders" or die;
    return;
}

sub sink
{
    my ($name, $core, $module) = @_;
    return "sink $name { $core  retry { base = 5ms  cap = 50ms }\n"
        . "breaker { failures = 8  open = 200ms }\n"
        . " $module orders = \"$dir/$name.orders\"  out = \"$dir/$name.out\" } }\n";
}

sub lines { my ($name) = @_; return [ split /\n/, Weir::read_file("$dir/$name.out") // '' ] }

sub arrived
{
    my ($name, $k) = @_;
    return Weir::wait_for("$name has $k", 30,
        sub { grep { / $k \d+$/ } @{ lines($name) } });
}

# Of each key, the values in order: each grows, and ends as the database's does.
# An event that is sent again has those of its key behind it once more, so then
# only the end counts.
sub in_order
{
    my ($name, $what, $again) = @_;
    my (%last, @wrong);
    for (@{ lines($name) }) {
        my ($lane, $op, $k, $v) = split ' ';
        push @wrong, "$k: $v behind $last{$k}"
            if !$again && defined $last{$k} && $v < $last{$k};
        $last{$k} = $v;
    }
    for my $row ($db->rows('SELECT k, v FROM shop.t')) {
        my ($k, $v) = @$row;
        push @wrong, "$k: " . ($last{$k} // 'none') . " and not $v" if ($last{$k} // -1) != $v;
    }
    is(join(', ', @wrong[0 .. ($#wrong < 5 ? $#wrong : 5)]), '', $what);
    return;
}

orders($_) for qw(one many keep merge);
my $config = sub {
    my ($keep) = @_;
    return "load_module(\"$modules/sink_verdict.so\")\nload_module(\"$modules/sink_units.so\")\n"
        . "pipeline shop {\n" . shop_source($db) . "\nrelay { size = 64m }\n"
        . sink('one', 'events = 10  on_reject = skip', 'verdict { key = "{k}"')
        . sink('many', 'lanes = 5  events = 6  on_reject = skip', 'verdict {')
        . sink('keep', "lanes = $keep  on_reject = skip", 'units { share = keep')
        . sink('merge', 'lanes = 3  events = 20  on_reject = skip', 'units { share = merge')
        . "}\n";
};
my $weir = $t->weir(config => $config->(4))->start;
my @sinks = qw(one many keep merge);
my $value = 0;
my $mark  = 1_000_000;

sub load
{
    my ($n) = @_;
    my $client = $db->client;
    for (1 .. $n) {
        $value++;
        $client->do('BEGIN', map({
            "INSERT INTO shop.t VALUES ($_, $value) ON DUPLICATE KEY UPDATE v = $value"
        } map { int rand 20 } 1 .. 1 + int rand 4), 'COMMIT');
    }
    $value++;
    my $from = $mark + 1;
    $mark += 40;
    $db->do('INSERT INTO shop.t VALUES ' . join(',', map { "($_, $value)" } $from .. $mark));
    return $from .. $mark;
}

# Empty files, and each row again.
sub fresh
{
    my ($suffix) = @_;
    rename "$dir/$_.out", "$dir/$_.out.$suffix" for @sinks;
    $db->do("UPDATE shop.t SET v = v + 1");
    $value++;
    return;
}

sub check
{
    my ($what, $again) = @_;
    my @marks = load(150);
    for my $name (@sinks) {
        Weir::wait_for("$what: $name has all", 60, sub {
            my %have = map { (split)[2] => 1 } @{ lines($name) };
            return !grep { !$have{$_} } @marks;
        });
        in_order($name, "$what: $name, each key in order", $again);
    }
    return;
}

check('all well');
is(scalar(keys %{ { map { (split)[0] => 1 } @{ lines('many') } } }), 5, 'five lanes wrote');
is(scalar(keys %{ { map { (split)[0] => 1 } @{ lines('keep') } } }), 4, 'and four');
my @transactions = map { (split)[3] } grep { (split)[2] < 1000 } @{ lines('keep') };
is(join(' ', @transactions), join(' ', sort { $a <=> $b } @transactions),
    'transactions are committed in order');

orders($_, 'retry 7 3', 'retry 11 2', 'pend 5 4', 'retry commit 2') for @sinks;
check('RETRY and PENDING');
orders($_, 'later 3 5', 'later 4 2', 'later 3 1') for @sinks;
check('single events not now', 1);
fresh('later');
orders($_, 'retry * 30') for @sinks;
check('a target that is down for a while');
$weir->wait_log(qr/shop\/one: it says retry; next try in/);
like($weir->wait_log(qr/shop\/one: 8 failures in a row/), qr/nothing is written for 0\.2 s/,
    'the breaker opens');

# What is refused leaves the others alone; the identity of counts holds.
my %skipped;
for my $word (qw(refuse reject)) {
    orders($_, map { "$word $_" } 990, 991) for @sinks;
    $db->do('INSERT INTO shop.t VALUES (988, 1), (989, 1), (990, 1), (991, 1), (992, 1), (993, 1)');
    arrived($_, 993) for @sinks;
    $db->do('DELETE FROM shop.t WHERE k BETWEEN 988 AND 993');
    check("some $word");
    orders($_) for @sinks;
    is(scalar(grep { / 99[01] / } @{ lines($_) }), 0, "$word: $_ wrote neither") for @sinks;
    for my $name (@sinks) {
        my @have = grep { / (?:98[89]|99[23]) / && / insert / } @{ lines($name) };
        cmp_ok(scalar @have, '>=', 4, "$word: $name wrote the others");
    }
    fresh($word);
}
for my $name (@sinks) {
    my $row = Weir::wait_for("$name: counted", 20, sub {
        my ($exit, $said) = $weir->ctl('--json', 'status');
        my $status = eval { JSON::PP->new->decode($said) } or return;
        my ($w) = grep { $_->{name} eq $name } @{ $status->{pipelines}[0]{workers} };
        return $w->{caught_up} && $w->{rows_skipped} >= 8 ? $w : undef;
    });
    is($row->{rows_read}, $row->{rows} + $row->{rows_filtered} + $row->{rows_parked}
        + $row->{rows_dead} + $row->{rows_skipped}, "$name: read = what became of it");
}

# One lane holds back what is its own: FATAL ends the sink, with its words.
$t->expect_log(qr/stopped: it says fatal/);
orders('one', 'fatal *');
$db->do('INSERT INTO shop.t VALUES (995, 1)');
$weir->wait_state('one', 'stopped');
like($weir->status->{one}{reason}, qr/it says fatal; mend it and reload/, 'FATAL says why');
orders('one');
my ($exit, $said) = $weir->reload($config->(2));
is($exit, 0, 'a reload, with other lanes') or diag $said;
arrived('one', 995);
check('after it');
$t->done;
