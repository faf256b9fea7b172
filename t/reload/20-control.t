# The control socket and weirctl: status in every state, pause over a reload and
# a restart, rewinding, the relay's files, and hostile bytes.
use Weir;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Socket::UNIX;
use JSON::PP;
use Time::HiRes qw(time);

my $here = dirname(abs_path($0));
my $t    = Weir->new;
my $dir  = $t->dir;
$t->make_dir('out');

sub pipeline
{
    my ($more) = @_;
    return <<"EOT";
pipeline shop {
    source { binlog { files = {"$here/small.binlog"} } }
    relay { size = 16m }
    sink lines { file { root = "$dir/out"  path = "all.jsonl" } }
    sink nowhere { null { } }
    $more
}
EOT
}

my $weir = $t->weir(globals => 'log_format = json', config => pipeline(''));
my ($exit, $said) = $weir->ctl('status');
is($exit, 2, 'status without a server: 2');
like($said, qr/no weir runs in .*: start it/, 'and what to do');

$weir->start;
my $out   = "$dir/out/all.jsonl";
my @lines = sub {
    my @have;
    wait_for('the file is read', 20, sub {
        my ($sink) = grep { $_->{name} eq 'lines' } @{ workers() };
        @have = Weir::Server::lines_of($out);
        return $sink->{caught_up} && @have;
    });
    return @have;
}->();

sub workers
{
    my ($exit, $text) = $weir->ctl('status', '--json');
    return decode_json($text)->{pipelines}[0]{workers};
}

sub worker { my ($name) = @_; return (grep { $_->{name} eq $name } @{ workers() })[0] }

# ---- Reading

for my $line ($weir->log_lines) {
    my $fact = eval { decode_json($line) };
    next if $fact && join(' ', sort keys %$fact) eq 'context level message pid time';
    fail("a line of the JSON log: $line");
}
ok($weir->log_count(qr/"level":"info","pid":\d+,"context":"shop\/lines","message":"running"/),
    'log_format = json');
($exit, $said) = $weir->ctl('status');
is($exit, 0, 'status: 0');
like($said, qr/lines +running/, 'as a table');
like($said, qr/source +ended .*\n +`- has read all that there is/, 'why the source ended');
is(worker('lines')->{state}, 'running', 'as JSON');
($exit, $said) = $weir->ctl('lag', '--json');
is_deeply([ map { $_->{sink} } @{ decode_json($said) } ], [ 'lines', 'nowhere' ], 'lag');
($exit, $said) = $weir->ctl('version');
like($said, qr/weirctl \S+\nweir \S+, master \d+, \S+weir\.conf/, 'version');
($exit, $said) = $weir->ctl('relay', 'verify');
is($exit, 0, 'relay verify') or diag $said;
like($said, qr/1 segments, \d+ frames, \d+ bytes: every checksum is right/, 'all of it');
($exit, $said) = $weir->ctl('relay', 'ls', '--json');
my ($segment) = @{ decode_json($said) };
is(-s $segment->{path}, $segment->{bytes}, 'relay ls');
($exit, $said) = $weir->ctl('relay', 'dump');
my @frames = map { decode_json($_) } split /\n/, $said;
my @heads  = grep { $_->{type} eq 'head' } @frames;
is(scalar @heads, $segment->{transactions}, 'dump has as many transactions as ls');
my ($rows, $events) = (0, 0);
$rows += @{ $_->{rows} } for grep { $_->{type} eq 'row' } @frames;
is(scalar(grep { $_->{error} } @frames), 0, 'all can be read');
$events = grep { /"type":"row"/ } @lines;
is($rows, $events, 'and as many rows as the sink got');
($exit, $said) = $weir->ctl('schema', 'show', 'shop', '--json');
my @tables = map { decode_json($_) } split /\n/, $said;
ok(@tables && !grep({ !@{ $_->{columns} } } @tables), 'schema show');

# ---- Pause, over a reload and a restart

($exit, $said) = $weir->ctl('pause', 'lines', 'until', 'the disk is larger');
is($exit, 0, 'pause') or diag $said;
is($weir->worker_pid('sink shop/lines'), undef, 'its worker has ended');
my $why = qr/paused since \S+ by uid \d+: until the disk is larger; weirctl resume shop\/lines/;
like(worker('lines')->{why}, $why, 'status says why and what to do');
($exit) = $weir->ctl('status');
is($exit, 1, 'status: 1, something does not run');
($exit, $said) = $weir->ctl('pause', 'shop/lines');
is($exit, 1, 'not twice');
like($said, $why, 'it says so');
($exit) = $weir->reload(pipeline('sink more { null { } }'));
is($exit, 0, 'a reload');
is(worker('lines')->{state}, 'paused', 'it is still held');
$weir->stop;
($exit, $said) = $weir->ctl('status');
like($said, qr/no weir runs.*shop\/lines stands at \S+ \(small\.binlog:\d+\)/s,
    'without a server: where the sinks stand');
$weir->launch;
wait_for('start', 30, sub { (eval { worker('lines') } // { state => '' })->{state} eq 'paused' });
like(worker('lines')->{why}, $why, 'nor does a restart let it go');
is($weir->worker_pid('sink shop/lines'), undef, 'no worker was started');

# ---- Rewind: what comes again is exactly what came after

sub rewind_to
{
    my (@how) = @_;
    my @before = Weir::Server::lines_of($out);
    my ($exit, $said) = $weir->ctl('rewind', 'shop/lines', @how);
    return ($exit, $said, scalar @before);
}

sub after
{
    my ($gtid) = @_;
    my $from;
    for my $i (0 .. $#lines) {
        $from = $i + 1 if index($lines[$i], "\"gtid\":\"$gtid\"") >= 0;
    }
    return join "\n", @lines[ $from .. $#lines ];
}

sub came_again
{
    my ($n) = @_;
    my @have = Weir::Server::lines_of($out);
    return join "\n", @have[ $n .. $#have ];
}

my ($middle) = $lines[ @lines / 2 ] =~ /"gtid":"([^"]+)"/;
my @wrong = (
    [ [ '--to', '9-9-99999' ],           1, qr/not in the relay, which begins behind/ ],
    [ [ '--to', '2001-01-01 00:00:00' ], 1, qr/does not reach back to 2001/ ],
    [ [ '--to', '2999-01-01 00:00:00' ], 1, qr/nothing behind 2999.* nothing to send again/ ],
    [ [ '--to', 'a b' ],                 64, qr/rewind SINK --to/ ],
    [ [],                                64, qr/rewind SINK --to/ ],
);
for my $case (@wrong) {
    my ($how, $status, $sentence) = @$case;
    my ($exit, $said) = rewind_to(@$how, '--yes');
    is($exit, $status, "rewind @$how: $status");
    like($said, $sentence, 'and why');
}
($exit, $said) = rewind_to('--to', $middle);
is($exit, 1, 'nobody says yes');
like($said, qr/Rewind\? \[y\/N\].*nothing was changed/s, 'nothing was changed');
my $n;
($exit, $said, $n) = rewind_to('--to', $middle, '--yes');
is($exit, 0, 'asked of a paused sink') or diag $said;
like($said, qr/done when the sink is resumed/, 'it waits');
($exit, $said) = $weir->ctl('rewind', 'lines', '--to', 'earliest', '--yes');
is($exit, 1, 'one at a time');
like($said, qr/not done yet/, 'it says so');
($exit, $said) = $weir->ctl('resume', 'lines');
is($exit, 0, 'resume') or diag $said;
$weir->wait_log(qr/rewound to behind $middle/);
wait_for('it comes again', 20, sub { came_again($n) eq after($middle) });
my ($first) = $lines[0] =~ /"gtid":"([^"]+)"/;
($exit, $said, $n) = rewind_to('--to', $first, '--yes');
is($exit, 0, 'of a running one') or diag $said;
like($said, qr/is rewound to behind \Q$first\E/, 'its answer');
wait_for('all but the first comes again', 20, sub { came_again($n) eq after($first) });
($exit, $said, $n) = rewind_to('--to', 'earliest', '--yes');
is($exit, 0, 'to the earliest') or diag $said;
wait_for('all comes again', 20, sub { came_again($n) eq join "\n", @lines });
my ($time) = $heads[ @heads / 2 ]{commit_time} =~ /(.*)\.\d+Z/;
my %late = map { $_->{gtid} => 1 } grep { $_->{commit_time} ge $time } @heads;
my @late = grep { /"gtid":"([^"]+)"/ && $late{$1} } @lines;
($exit, $said, $n) = rewind_to('--to', $time, '--yes');
is($exit, 0, "to a time, $time") or diag $said;
wait_for('what was committed since comes again', 20,
    sub { came_again($n) eq join "\n", @late });

# ---- Crashes do not lose a request: it is done by whom starts next

$weir->ctl('pause', 'lines');
($exit, $said, $n) = rewind_to('--to', $middle, '--yes');
$weir->crash;
$weir->launch;
wait_for('start', 30, sub { (eval { worker('lines') } // { state => '' })->{state} eq 'paused' });
$weir->ctl('resume', 'lines');
wait_for('it comes again', 20, sub { came_again($n) eq after($middle) });

# ---- Hostile bytes

my $path = $weir->state . '/run/control';
is((stat $path)[2] & 07777, 0600, 'the socket is 0600');

sub talk
{
    my ($bytes) = @_;
    my $s = IO::Socket::UNIX->new(Peer => $path) or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    syswrite $s, $bytes;
    shutdown $s, 1;
    local $/;
    return readline($s) // '';
}
my @hostile = (
    [ "\n",                                 qr/^refused that is no request/ ],
    [ "GET / HTTP/1.0\r\n",                 qr/^refused byte 15 .*control character/ ],
    [ "weir 1 pause shop lines \0\n",       qr/^refused byte 25 .*control/ ],
    [ "weir 2 version\n",                   qr/^refused this weir speaks version 1/ ],
    [ "weir 1 explode\n",                   qr/^refused this weir knows no such/ ],
    [ "weir 1 pause\n",                     qr/^refused no sink/ ],
    [ "weir 1 pause ../.. lines\n",         qr/^refused no sink/ ],
    [ 'weir 1 pause shop lines ' . 'x' x 300 . "\n", qr/^refused a reason has at most/ ],
    [ "weir 1 rewind shop lines -1 5\n",    qr/^refused rewind needs/ ],
    [ "weir 1 rewind shop lines 99999999999999999999 5\n", qr/^refused rewind needs/ ],
    [ "weir 1 define shop 0 5 shop t\n",    qr/^refused a definition needs/ ],
    [ "weir 1 define shop x 5 shop t c\n",  qr/^refused a definition needs/ ],
    [ "weir 1 define ../.. 0 5 shop t c\n", qr/^refused no pipeline/ ],
    [ "weir 1 begin shop lines\n",          qr/^refused shop.lines has not stopped/ ],
    [ 'x' x 5000,                           qr/^(?:refused the line is too long|)/ ],
    [ join('', map { chr } 128 .. 255) . "\n", qr/^refused that is no request/ ],
    [ '',                                   qr/^$/ ],
);
for my $case (@hostile) {
    my ($bytes, $answer) = @$case;
    like(talk($bytes), $answer, 'refused: ' . substr $bytes =~ s/[^ -~]/?/gr, 0, 40);
}
my @silent = map { IO::Socket::UNIX->new(Peer => $path) } 1 .. 12;
my $began = time;
($exit) = $weir->ctl('status');
is($exit, 0, 'status while clients sit there in silence');
cmp_ok(time - $began, '<', 1 * $Weir::Slow, 'within a second');
($exit, $said) = $weir->ctl('version');
is($exit, 0, 'they are left after a while, and others are served');
close $_ for @silent;

# What comes in pieces, and is longer than any line before there was `define`.
like(talk('weir 1 define shop 0 77 %zz t ' . 'x' x 300_000 . "\n"), qr/^ok/, 'a long line');
my $no = wait_for('its answer', 20,
    sub { my ($line) = Weir::Server::lines_of($weir->state . '/shop/schema.answer');
          return ($line // '') =~ /^77 / ? $line : undef });
like($no, qr/^77 refused that is no request/, 'what the source makes of it');
ok(wait_for('the request is gone', 20, sub { !-e $weir->state . '/shop.request' }), 'it is done');
my @too_long = ('x' x 65536) x 17;
like(talk(join '', @too_long), qr/^(?:refused the line is too long|)$/, 'longer than that');

# A place where no transaction begins is refused by the worker itself.
my ($row) = grep { $_->{type} eq 'row' } @frames;
my $id = 4711;
like(talk("weir 1 rewind shop lines $row->{offset} $id\n"), qr/^ok/, 'a rewind into a transaction');
my $answer = wait_for('its answer', 20,
    sub { my ($line) = Weir::Server::lines_of($weir->state . '/shop/lines/answer');
          return ($line // '') =~ /^$id / ? $line : undef });
like($answer, qr/^4711 refused no transaction begins at/, 'is refused');
wait_for('it goes on', 20, sub { worker('lines')->{state} eq 'running' });
is(came_again($n), after($middle), 'and nothing was sent');

# ---- The master stands still; status does not

$weir->kill('STOP');
$began = time;
($exit, $said) = $weir->ctl('status');
is($exit, 0, 'status of a master that is stopped');
cmp_ok(time - $began, '<', 1 * $Weir::Slow, 'within a second');
$weir->kill('CONT');

# ---- Damage is found

($exit, $said) = $weir->ctl('reload');
is($exit, 0, 'reload') or diag $said;
my $mark = $segment->{bytes} / 2;
$weir->stop;
open my $file, '+<:raw', $segment->{path} or die;
sysseek $file, $mark, 0;
syswrite $file, 'damage!!' x 4;
close $file;
($exit, $said) = $weir->ctl('relay', 'verify');
is($exit, 1, 'relay verify of a damaged one: 1');
like($said, qr/\.relay is damaged at byte \d+/, 'and where');
for my $command ('', qw(status lag pause resume rewind adopt relay schema reload version)) {
    ($exit, $said) = $weir->ctl(grep({ $_ } $command), '--help');
    is($exit, 0, "weirctl $command --help");
    like($said, qr/^usage: weirctl.*Exit status/ms, 'and what it says');
}
($exit, $said) = $weir->ctl('staus');
is($exit, 64, 'a wrong command: 64');
like($said, qr/did you mean status/, 'and which was meant');

# weir.conf(5) has each directive of the server and of every module.
my $page = Weir::read_file("$t->{prefix}/share/man/man5/weir.conf.5") // '';
for my $of (qw(global pipeline relay sink), $weir->modules) {
    my @names = map { /^  (\w+) = / ? $1 : () }
        split /\n/, $weir->capture($weir->program, '-h', $of);
    my @absent = grep { $page !~ /^  $_ = /m } @names;
    is("@absent", '', "weir.conf(5) has the directives of $of");
}
$t->done;
