# Servers that lie, trickle, fall silent or ask for our files: the source says
# one sentence, ends in time, and gives nothing away.
use Weir;
use Weir::FakeServer;
use Weir::Srchost;
use Time::HiRes qw(time);

my $t      = Weir->new;
my $source = Weir::Srchost->new($t, 'source_mysql');
my $secret = $t->dir . '/secret';
open my $out, '>', $secret or die;
print $out "topsecret\n";
close $out;

sub event        { return Weir::FakeServer::event(@_) }
sub rotate_event { return Weir::FakeServer::rotate_event() }

# Runs the source against a server like that, to its own end, or to a stop when
# it has said `until`; checks what it says last, and how long the end took.
sub against
{
    my ($what, $pattern, %option) = @_;
    my $server = Weir::FakeServer->new($t, %option);
    my $begin  = time;
    $source->start('host=127.0.0.1', 'port=' . $server->port, 'user=weir',
        'password=topsecret', 'heartbeat=100ms', 'connect_timeout=500ms',
        @{ $option{with} // [] });
    if ($option{until}) {
        $source->wait_said($option{until});
        $begin = time;
        kill 'TERM', $source->{pid};
    }
    my $said  = $source->wait_end;
    my $took  = (time - $begin) * 1000;
    my $notes = $server->stop;
    like($said, qr/^(?:end|open) $pattern/m, $what);
    cmp_ok($took, '<', ($option{within} // 4000) * $Weir::Slow, "$what: in time");
    unlike($said, qr/topsecret|Sanitizer|runtime error/, "$what: no secret, nothing from a sanitizer");
    return ($said, $notes);
}

# ---- Before the login

against('no greeting at all', qr/-1 .*connect to/, greet => '', within => 2000);
my $fake = Weir::FakeServer->new($t, greet => '');
$source->start('host=127.0.0.1', 'port=' . $fake->port, 'user=weir', 'connect_timeout=60s');
Time::HiRes::sleep(0.3);
cmp_ok($source->stop, '<', 300 * $Weir::Slow, 'a stop during the connect is quick');
$fake->stop;
against('a greeting of noise', qr/-1 .*connect to/, greet => join('', map { chr($_ * 37 & 255) } 1 .. 300));
against('a greeting cut short', qr/-1 .*connect to/, greet => "\x0a5.5");
against('too many connections', qr/-1 .*Too many/, greet => "\xff" . pack('v', 1040) . 'Too many');
against('an old MySQL', qr/-3 .*is MySQL 5\.5\.34: 5\.6 or later is needed/,
    answer => { qr/\@\@version/ => sub { $_[0]->send_rows(2, [ '5.5.34', 'MySQL' ]) } });
against('a MySQL without its uuid', qr/-1 .*server_uuid/,
    answer => { qr/\@\@version/ => sub { $_[0]->send_rows(2, [ '8.4.2', 'MySQL' ]) },
        qr/SHOW BINARY LOG STATUS/ => sub { $_[0]->send_rows(5, [ 'bin.000001', 400, '', '', '' ]) } });
against('an old MariaDB', qr/-3 .*10\.3 or later/,
    answer => { qr/\@\@version/ => sub { $_[0]->send_rows(2, [ '10.2.44-MariaDB', '' ]) } });

# Authentication that would show the password.
my (undef, $notes) = against(
    'asked for the password in the clear', qr/-[13] .*connect to/,
    auth => sub {
        my ($server) = @_;
        $server->send_packet("\xfemysql_clear_password\0");
        $server->note('got ' . $server->receive_packet);
    }
);
unlike($notes, qr/topsecret/, 'the password was not sent');

# ---- Statements

(undef, $notes) = against(
    'asked for a file of ours', qr/-1 /,
    answer => {
        qr/\@\@version/ => sub {
            my ($server) = @_;
            $server->send_packet("\xfb$secret");
            $server->note('got ' . $server->receive_packet);
            $server->send_error(1148, 'not so');
        }
    }
);
unlike($notes, qr/topsecret/, 'the file was not sent');
for my $query ('@@version', '@@hostname', "'server_uid'", 'VARIABLES WHERE', 'SHOW MASTER STATUS',
    'gtid_binlog_pos')
{
    against("NULLs to $query", qr/-[13] |0 /, until => undef, hang_up => 1,
        answer => { qr/\Q$query\E/ => sub { $_[0]->send_rows(4, [ undef, undef, undef, undef ]) } });
    against("too few columns to $query", qr/-[13] |0 /, hang_up => 1,
        answer => { qr/\Q$query\E/ => sub { $_[0]->send_rows(1, ['x']) } });
    against("no rows to $query", qr/-[13] |0 /, hang_up => 1,
        answer => { qr/\Q$query\E/ => sub { $_[0]->send_rows(4) } });
    against("OK to $query", qr/-[13] .*(?:no result|no reason|connection)/, hang_up => 1,
        answer => { qr/\Q$query\E/ => sub { $_[0]->send_ok } });
}
against('names of 60 kB', qr/-[13] /, hang_up => 1, within => 8000,
    answer => { qr/SHOW|\@\@/ => sub { $_[0]->send_rows(4, [ map { 'MariaDB10' x 7000 } 1 .. 4 ]) } });
against('no answer, and a stop', qr/0 /, within => 300, until => qr/^server/m,
    answer => { qr/gtid_binlog_pos/ => sub { sleep 3600 } });
against('formats in an error', qr/-1 .*%n%s%n/,
    answer => { qr/VARIABLES WHERE/ => sub { $_[0]->send_error(1105, '%n%s%n') } });
against('a GTID state of noise', qr/-1 .*gives as its GTIDs/, with => ['@gtid=0-1-3'],
    answer => { qr/gtid_binlog_state/ => sub { $_[0]->send_rows(1, ['0-1-5,,x']) } });

# ---- The stream

my $beat = event(27, 'bin.000001', pos => 400);
my %bad = (
    'an empty packet'      => [ '', qr/-1 .*connection is lost/ ],
    'a short packet'       => [ "\0abc", qr/-1 .*packet of 4 bytes that is no event/ ],
    'a packet of a kind unknown' => [ "\x05" . 'x' x 40, qr/-1 .*no event/ ],
    'the end of the stream' => [ "\xfe\0\0\0\0", qr/-1 .*ended the stream/ ],
    'a length that is not its own' => [ event(16, 'x' x 8, len => 4000), qr/-2 .*wrong length/ ],
);
for my $what (sort keys %bad) {
    my ($packet, $pattern) = @{ $bad{$what} };
    against($what, $pattern, dump => sub { $_[0]->send_packet($_) for rotate_event(), $packet });
}
against('half a packet', qr/-1 .*connection is lost/, within => 8000, dump => sub {
    $_[0]->send_packet(rotate_event());
    $_[0]->send_raw("\xff\xff\x7f\x02\0" . 'x' x 1000);
});
against('a connection cut in a packet', qr/-1 .*connection is lost/, hang_up => 1, dump => sub {
    $_[0]->send_packet(rotate_event());
    $_[0]->send_raw("\xff\xff\x7f\x02\0" . 'x' x 1000);
});
against('packets out of order', qr/-1 /, dump => sub {
    $_[0]->send_packet(rotate_event());
    $_[0]{seq} += 3;
    $_[0]->send_packet($beat);
});
against('silence after the first event', qr/-1 .*has said nothing for 1400 ms/, within => 3000,
    dump => sub { $_[0]->send_packet($_) for rotate_event(), $beat });
against('silence before it, and a stop', qr/0 /, within => 300, until => qr/type=4/,
    dump => sub { $_[0]->send_packet(rotate_event()) });
against('a flood, and a stop', qr/0 /, within => 500, until => qr/type=27(?s:.*)type=27/, dump => sub {
    my ($server) = @_;
    $server->send_packet(rotate_event());
    while (1) { $server->send_packet($beat) }
});
for my $code (1236, 4052) {
    against("a collision, as error $code", qr/-3 .*three times/, with => ['@runs=9'], hang_up => 1,
        dump => sub { $_[0]->send_error($code, 'A slave with the same server_uuid/server_id as this slave') });
}
against('purged, and nothing to say of it', qr/-3 .*refuses to send|-3 .*no longer has/,
    dump => sub { $_[0]->send_error(1236, 'required binlog files have been purged') });
against('an access denied on the way', qr/-1 .*1227/,
    dump => sub { $_[0]->send_error(1227, 'Access denied') });
# ---- The search for a time

sub timed
{
    my ($what, $pattern, $dump, @more) = @_;
    return against("by time: $what", $pattern, with => ['start=time:2026-11-01 00:00:00'],
        answer => { qr/UNIX_TIMESTAMP/ => sub { $_[0]->send_rows(1, ['2000000000000000']) } },
        dump => sub { $dump->(@_) }, @more);
}

my $end = "\xfe\0\0\0\0";
timed('the stream ends early', qr/-1 .*ended its stream at bin\.000001:123, before the end of bin\.000001/,
    sub { $_[0]->send_packet($_) for rotate_event(), event(15, 'x' x 100, pos => 123), $end },
    hang_up => 1);
timed('no event', qr/-1 .*packet of 4 bytes that is no event/,
    sub { $_[0]->send_packet($_) for rotate_event(), "\0abc" });
timed('GTIDs of noise', qr/-1 .*before the end of bin/, sub {
    my ($server) = @_;
    $server->send_packet(rotate_event());
    for my $type (33, 34, 42, 162, 2, 4) {
        $server->send_packet(event($type, $_, pos => 200))
            for '', "\xff", "\xff" x 9, "\x02\xff" x 40, "\x02\x02\x02\x06" . "\xff" x 3;
    }
    $server->send_packet($end);
}, hang_up => 1);
timed('no logs', qr/-1 .*has no binlog/, sub { },
    answer => { qr/UNIX_TIMESTAMP/ => sub { $_[0]->send_rows(1, ['2000000000000000']) },
        qr/SHOW BINARY LOGS/ => sub { $_[0]->send_rows(2) } });
timed('silence, and a stop', qr/0 /, sub { $_[0]->send_packet(rotate_event()) },
    until => qr/^server/m, within => 300);
timed('a flood, and a stop', qr/0 /, sub {
    my ($server) = @_;
    $server->send_packet(rotate_event());
    while (1) { $server->send_packet(event(16, 'x' x 8, pos => 200)) }
}, until => qr/^server/m, within => 500);
is(join(' ', Weir::Srchost::sanitizer_lines($t)), '', 'nothing from a sanitizer in the host');
$t->done;
