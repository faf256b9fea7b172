# What a sink says of single events, and when: the first batch of a new sink, a
# breaker's probe, a part that goes well, two events of one key; tables that are
# parked and dead letters that come back with several lanes; FENCED with them.
use Weir;
use Weir::Shop;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $here    = dirname(abs_path($0));
my $t       = Weir->new;
my $dir     = $t->dir;
my $modules = $t->make_dir('modules');
my $cc      = ($ENV{CC} // 'cc') . " -shared -fPIC -Wall -Wextra -Werror";
for my $which ([ '', 'verdict' ], [ '-DRESTORES', 'units' ]) {
    my ($flag, $name) = @$which;
    is(system("$cc $flag -I$t->{prefix}/include $here/sink_verdict.c -o $modules/sink_$name.so"),
        0, "build sink_$name");
}
my $db = $t->database;
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (k INT PRIMARY KEY, v INT)',
    'CREATE TABLE shop.u (k INT PRIMARY KEY, v INT)',
    'RESET MASTER'); # rows are the first that there is
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
    return "sink $name { $core  retry { base = 5ms  cap = 20ms }\n"
        . "breaker { failures = 8  open = 100ms }\n"
        . " $module orders = \"$dir/$name.orders\"  out = \"$dir/$name.out\" } }\n";
}

sub lines { my ($name) = @_; return split /\n/, Weir::read_file("$dir/$name.out") // '' }

# The values written of a key, one after the other.
sub values_of
{
    my ($name, $k) = @_;
    return join ' ', map { (split)[3] } grep { (split)[2] == $k } lines($name);
}

sub arrived
{
    my ($name, $k) = @_;
    return Weir::wait_for("$name has $k", 20, sub { values_of($name, $k) ne '' });
}

sub config
{
    return "load_module(\"$modules/sink_verdict.so\")\nload_module(\"$modules/sink_units.so\")\n"
        . "pipeline shop {\n" . shop_source($db) . "\nrelay { size = 64m }\n"
        . join('', @_) . "}\n";
}

my @sinks = (
    sink('one',  'on_reject = skip', 'verdict {'),
    sink('park', 'lanes = 3  on_reject = park', 'verdict {'),
    sink('dead', 'lanes = 3  on_reject = dead_letter', 'verdict {'),
    sink('many', 'lanes = 4', 'verdict {'),
);
orders($_) for qw(one park dead many first);
$db->do('INSERT INTO shop.t VALUES ' . join ',', map { "($_, $_)" } 1 .. 8);
my $weir = $t->weir(config => config(@sinks))->start;

# A new sink that finds work: its first batch goes in halves, and the second
# half fails once.
arrived('one', 8);
orders('first', 'reject 5 1', 'retry 5 1');
$weir->reload(config(@sinks, sink('first', 'on_reject = skip', 'units {')));
arrived('first', 1);
$db->do('INSERT INTO shop.t VALUES (9, 9)');
arrived('first', 9);
is(join(' ', map { values_of('first', $_) } 1 .. 9), '1 2 3 4 5 6 7 8 9',
    'a first batch in parts: all of it arrives');

# What was refused has its checkpoint behind it.
orders('first', 'refuse 11 1');
$db->do('INSERT INTO shop.t VALUES (10, 10), (11, 11), (12, 12)');
$db->do('INSERT INTO shop.t VALUES (13, 13)');
arrived('first', 13);
is(values_of('first', 11), '', 'a verdict of a sink that keeps its checkpoint');
is(join(' ', map { values_of('first', $_) } 10, 12), '10 12', 'the others once');

# The breaker's probe is answered by a refusal: an answer.
orders('one', 'retry 30 8', 'bar 30 2');
$db->do('INSERT INTO shop.t VALUES (29, 1), (30, 1), (31, 1)');
$weir->wait_log(qr/shop\/one: 8 failures in a row/);
arrived('one', 31);
is(join('|', map { values_of('one', $_) } 29 .. 31), '1||1', 'a probe that is refused in part');

# Each try brings one through: no failure in a row, and what is done is done.
orders('many', map { "later 4$_ $_" } 1 .. 9);
orders('one', map { "later 4$_ $_" } 1 .. 9);
$db->do('INSERT INTO shop.t VALUES ' . join ',', map { "(4$_, 1)" } 0 .. 9);
arrived('one', 49);
is(join(' ', map { values_of('one', "4$_") } 0 .. 9), join(' ', (1) x 10),
    'throttled ones alone are sent again');
is(scalar(grep { /shop\/one: 8 failures in a row/ } split /\n/, Weir::read_file("$weir->{dir}/weir.log")), 1,
    'a batch that goes on in parts is no failure in a row');
arrived('many', 49);

# Two events of a key in one batch: the second is not refused before the first.
orders('one', 'later 50 1', 'refuse 50 1');
$db->do('BEGIN', 'INSERT INTO shop.t VALUES (50, 1)',
    'UPDATE shop.t SET v = 2 WHERE k = 50', 'COMMIT');
arrived('one', 50);
$db->do('INSERT INTO shop.t VALUES (51, 1)');
arrived('one', 51);
is(values_of('one', 50), '1 2', 'a refusal waits for what comes before it');

# The first of a key is refused, the second written: a resume ends with it.
$t->expect_log(qr/ is parked: /);
orders('park', 'refuse 60 1');
orders('dead', 'refuse 60 1');
$db->do('BEGIN', 'INSERT INTO shop.t VALUES (60, 1)',
    'UPDATE shop.t SET v = 2 WHERE k = 60', 'COMMIT');
$weir->wait_log(qr/shop\/park: table shop\.t is parked/);
$db->do('INSERT INTO shop.t VALUES ' . join ',', map { "($_, 1)" } 61 .. 69);
$db->do('INSERT INTO shop.u VALUES ' . join ',', map { "($_, 1)" } 1061 .. 1069);
arrived('park', $_) for 1061 .. 1069;
is(join('', map { values_of('park', $_) } 61 .. 69), '', 'nothing of a parked table');
arrived('dead', 69);

# Asked until its lanes have met: that comes by itself.
sub ask
{
    my ($what, @command) = @_;
    my ($exit, $said);
    Weir::wait_for($what, 30, sub {
        ($exit, $said) = $weir->ctl(@command);
        return $exit == 0 || $said !~ /lanes/;
    });
    is($exit, 0, $what) or diag $said;
    return $said;
}
orders($_) for qw(park dead);
ask('park resume with three lanes', 'park', 'resume', 'park', 'shop.t');
arrived('park', $_) for 61 .. 69;
like(values_of('park', 60), qr/1 2$/, 'resumed: the last word on a key is the last');
like(ask('dead replay with three lanes', 'dead', 'replay', 'dead', 'all'),
    qr/0 taken, 1 left/, 'no older version over a newer one');
ask('dead discard', 'dead', 'discard', 'dead', 'all');
orders('dead', 'refuse 70 1');
$db->do('INSERT INTO shop.t VALUES (70, 1), (71, 1), (72, 1), (73, 1)');
$weir->wait_log(qr/shop\/dead: dead letter: .*never 70/);
orders('dead');
like(ask('dead replay', 'dead', 'replay', 'dead', 'all'), qr/1 taken, 0 left/, 'and it is taken');
is(values_of('dead', 70), '1', 'replayed once');

# A newer owner: the sink ends as a whole, and its other lanes write no more.
$t->expect_log(qr/it says fenced/);
orders('many', 'fenced 80');
$db->do('INSERT INTO shop.t VALUES (80, 1)');
Weir::wait_for('many is fenced', 20, sub { $weir->status->{many}{state} ne 'running' });
like($weir->status->{many}{reason}, qr/it says fenced/, 'FENCED says why');
my $had = () = lines('many');
$db->do('INSERT INTO shop.t VALUES ' . join ',', map { "($_, 1)" } 81 .. 99);
arrived('one', 99);
my $has = () = lines('many');
is($has, $had, 'FENCED: no lane writes any more');
$t->done;
