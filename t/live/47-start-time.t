# start = "time:...": the first transaction that was committed then or later,
# and all that follow in the log's order; over several logs, empty ones, and
# clocks that went back; a time that the logs don't reach is refused.
use Weir;
use Weir::Shop;
use Weir::Lines qw(read_lines);
use POSIX qw(strftime);

my $t       = Weir->new;
my $db      = $t->database;
my $maria   = !$db->isa('Weir::Mysql');
my $version = $db->value('SELECT @@version');
my $old     = !$maria && $version =~ /^(?:5|8\.0)\./;    # neither tags nor the new names
my $seconds = $maria || $version =~ /^5\./;              # in its log: no microseconds
my $base    = int(time) - 100_000;
my $marker  = 1000;
my $pattern = qr/begins at .* with the transaction/;

# MariaDB has the session's time in its log, MySQL 8 the clock's, in microseconds.
sub at
{
    my ($second, @sql) = @_;
    $db->do(($seconds ? 'SET timestamp = ' . ($base + $second) : ()), @sql);
    return;
}

sub row { return "INSERT INTO shop.t VALUES ($_[0])" }
sub utc { return strftime('%Y-%m-%d %H:%M:%S', gmtime $base + $_[0]) }

$db->make_weir_user;
at(0, $maria || $old ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS',
    'CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY)');
at(10, row(1));
at(10, ($maria ? 'SET gtid_domain_id = 7' : ()), row(2),
    ($maria ? 'SET gtid_domain_id = 0' : ()));
at(20, row(3));
my $place = $db->place;
at(25, 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');    # one with a head only
at(30, row(4));
at(31, 'BEGIN', row(5), row(6), 'COMMIT');
at(40, 'FLUSH BINARY LOGS');
at(50, row(7), ($maria || $old ? () : "SET gtid_next = 'AUTOMATIC:blue'"), row(8),
    ($maria || $old ? () : "SET gtid_next = 'AUTOMATIC'"));
at(20, row(9));                                      # the clock goes back
at(21, 'FLUSH BINARY LOGS', row(10));                # behind a head, too
at(60, 'FLUSH BINARY LOGS');
at(60, row(11));
$db->do('SET timestamp = DEFAULT') if $seconds;

sub config
{
    my ($weir, $start) = @_;
    my $dir    = $weir->dir;
    my $source = shop_source($db, "start = \"$start\"");
    mkdir "$dir/files";
    $weir->write_config("pipeline shop { $source sink lines { tables = {\"shop.t\"}"
            . " file { root = \"$dir/files\" path = \"t.jsonl\" } } }");
    return;
}

sub lines
{
    my ($weir) = @_;
    return grep { $_->{payload}{operation} eq 'insert' }
        read_lines($weir->dir . '/files/t.jsonl');
}

sub numbers { return map { $_->{payload}{after}{i} } lines($_[0]) }

sub wait_marker
{
    my ($weir) = @_;
    my $n = ++$marker;
    $db->do(row($n));
    wait_for("row $n", 30, sub { grep { $_ == $n } numbers($weir) });
    return;
}

# A new Weir that has sent all there is, and a row of now.
sub begun
{
    my ($start) = @_;
    my $weir = $t->weir;
    config($weir, $start);
    $weir->start;
    wait_marker($weir);
    return $weir;
}

# Rows of before the markers.
sub found
{
    my ($start) = @_;
    my $weir = begun($start);
    $weir->stop;
    return join ' ', grep { $_ < 1000 } numbers($weir);
}

# When each row was committed, as Weir has it.
my $weir = begun('earliest');
$weir->stop;
my %when = map { $_->{payload}{after}{i} => $_->{payload}{source}{timestamp} } lines($weir);
is(join(' ', grep { $_ < 1000 } numbers($weir)), '1 2 3 4 5 6 7 8 9 10 11', 'all rows');

is(found("time:$when{3}"), '3 4 5 6 7 8 9 10 11', 'exactly that time');
is(found("time:$when{5}"), '5 6 7 8 9 10 11',     'in the third log, behind an empty one');
is(found("time:$when{7}"), '7 8 9 10 11',
    'all in the order of the log, those with an earlier time too');
is(found("time:$when{11}"), '11', 'in the last');
if ($seconds) {
    is($when{7} =~ tr/T/ /r =~ s/(?:\.0+)?Z$//r, utc(50), 'the times are those of the log');
    is(found('time:' . utc(32)), '7 8 9 10 11', 'between two transactions, at the end of a log');
    is(found('time:' . utc(50) . '.5'), '7 8 9 10 11', 'a fraction of a second that the log lacks');
    is(found('time:' . strftime('%Y-%m-%dT%H:%M:%S+02:00', gmtime $base + 51 + 7200)),
        '11', 'a zone');
    is(found('time:' . utc(11)), '3 4 5 6 7 8 9 10 11', 'between two of the first log');
} else {
    my ($head, $usec) = $when{3} =~ /^(.*:\d\d)\.(\d{6})Z$/ or die "no microseconds: $when{3}";
    my $next = $usec < 999_999 ? sprintf('%s.%06d', $head, $usec + 1) : $when{4};
    is(found("time:$next"), '4 5 6 7 8 9 10 11', 'a microsecond later: the next one');
    is(found("time:$when{8}"), '8 9 10 11', 'a GTID with a tag');
}

# Behind all: from the end; and a restart goes on from the relay.
my $now = $seconds ? strftime('%Y-%m-%d %H:%M:%S', gmtime time + 0)
    : $db->value('SELECT UTC_TIMESTAMP(6)');
if ($seconds) {    # its log has whole seconds: one behind that of the last marker
    wait_for('the next second', 5, sub { $now lt strftime('%Y-%m-%d %H:%M:%S', gmtime) });
    $now = strftime('%Y-%m-%d %H:%M:%S', gmtime);
}
$weir = $t->weir;
config($weir, "time:$now");
$weir->start;
like($weir->wait_log(qr/connected to/), qr/behind GTID/, 'from the end on, by GTID');
like(join("\n", $weir->log_lines), qr/committed nothing since; begins at the end/, 'and said');
wait_marker($weir);
is(join(' ', numbers($weir)), $marker, 'nothing of before');
$weir->stop;

$weir = $t->weir;
config($weir, "time:$when{4}");
$weir->start;
wait_for('rows', 30, sub { grep { $_ == 11 } numbers($weir) });
my $behind = $weir->wait_log(qr/connected to .* behind/);
if ($maria) {
    like($behind, qr/behind GTID (?:0-\d+-4,7-\d+-1|7-\d+-1,0-\d+-4)$/,
        'the position has what was skipped, in each domain');
} else {
    like($behind, qr/behind GTID [0-9a-f-]{36}:1-5$/, 'the position has what was skipped');
}
$weir->stop;
is($weir->log_count($pattern), 1, 'where it begins is said');
$db->do(row(500));
$weir->start;
wait_marker($weir);
is(join(' ', grep { $_ < 1000 } numbers($weir)), '4 5 6 7 8 9 10 11 500',
    'a restart goes on behind the relay, nothing twice');
is($weir->log_count($pattern), 1, 'and looks for no time again');
$weir->stop;

# Without any transaction since the start, too.
$weir = $t->weir;
config($weir, "time:$when{11}");
$weir->start;
$weir->wait_log(qr/connected to/);
$weir->crash;
$weir->start;
wait_marker($weir);
is(join(' ', grep { $_ < 1000 } numbers($weir)), '11 500', 'killed at once');
$weir->stop;

# A file and offset: what was skipped counts as had, in domains that have
# nothing later too.
$weir = begun("file:$place->[0]:$place->[1]");
$weir->stop;
$weir->start;
wait_marker($weir);
is(join(' ', grep { $_ < 1000 } numbers($weir)), '4 5 6 7 8 9 10 11 500',
    'start = file, and a restart: nothing of before it');
$weir->stop;

# Times that can't be had.
sub refused
{
    my ($start, $reason, $what) = @_;
    my $weir = $t->weir;
    config($weir, $start);
    $t->expect_log(qr/ error \d+ shop: .*$reason/, qr/ error \d+ master: source shop stopped/);
    $weir->start;
    my $line = $weir->wait_log(qr/ error .*start = "\Q$start\E"/);
    like($line, $reason, $what);
    $weir->wait_state('source', 'stopped');
    $weir->stop;
    return $line;
}

refused('time:2001-01-01 00:00:00', qr/no longer has .* start to "time:20\d\d-[\d :-]+" or a later time, or to earliest/,
    'before the first log: refused');
refused('time:2099-01-01 00:00:00', qr/is in the future: it is 20\d\d-/, 'in the future: refused');
my $last = $db->place->[0];
$db->do('FLUSH BINARY LOGS');
wait_for('the files are purged', 30, sub {
    $db->do("PURGE BINARY LOGS TO '$last'");
    $db->rows('SHOW BINARY LOGS') <= 2;
});
my $line = refused("time:$when{3}", qr/no longer has .*oldest binlog, bin\S*\.0+\d+,/i, 'purged: refused');
my ($oldest) = $line =~ /"(time:[^"]+)" or a later/;
wait_for('that time', 5, sub { "time:" . strftime('%Y-%m-%d %H:%M:%S', gmtime) ge $oldest });
like(found($oldest), qr/^(?:11 )?500$/, 'the time that it names is one to start at');

$weir = $t->weir;
for my $text ('', '2026-13-01 00:00:00', '2026-11-01', 'yesterday', '2026-11-01 00:00:00 CET') {
    config($weir, "time:$text");
    my ($exit, $said) = $weir->command('-t');
    like("$exit $said", qr/^[1-9].*start = "time:\Q$text\E" has no time of .* as time:2026-11-01 00:00:00/s,
        "weir -t: '$text' is no time");
}
config($weir, 'time:2026-11-01T02:00:00+02:00');
my ($exit, $said) = $weir->command('-t');
is($exit, 0, 'weir -t: a time with a zone') or diag($said);
$t->done;
