# FakeServer.pm - a server that speaks just enough of the protocol to be taken
# for a MariaDB, and then does what a test tells it to.  One child process; it
# serves one connection after the other.
package Weir::FakeServer;
use strict;
use warnings;
use IO::Socket::INET;
use POSIX qw(setpgid);

# greet: the greeting's payload, or '' for none at all.  auth: sub(server) in
# place of letting everybody in.  answer: { pattern => sub(server, sql) }, before
# the usual answers.  dump: sub(server), at COM_BINLOG_DUMP; then it is silent.
sub new
{
    my ($class, $test, %option) = @_;
    my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1',
        LocalPort => 0) or die "listen: $!\n";
    pipe(my $read, my $write) or die;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgid(0, 0);
        close $read;
        close $test->{guard};    # whose end tells that the test has ended
        $SIG{PIPE} = 'IGNORE';
        my $self = bless { %option, notes => $write }, $class;
        while (my $client = $listener->accept) {
            $self->{client} = $client;
            eval { $self->serve };
            close $client;
        }
        POSIX::_exit(0);
    }
    close $write;
    setpgid($pid, $pid);
    syswrite $test->{guard}, "$pid\n";
    return bless { port => $listener->sockport, pid => $pid, notes => $read }, $class;
}

sub port { return $_[0]{port} }

# What the child noted until now, when it is over.
sub stop
{
    my ($self) = @_;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    local $/;
    return readline($self->{notes}) // '';
}

sub note
{
    my ($self, $text) = @_;
    syswrite $self->{notes}, "$text\n";
    return;
}

# ---- Packets

sub lenenc
{
    my ($bytes) = @_;
    return "\xfb" if !defined $bytes;
    return chr(length $bytes) . $bytes if length $bytes < 251;
    return "\xfc" . pack('v', length $bytes) . $bytes if length $bytes < 65536;
    return "\xfd" . substr(pack('V', length $bytes), 0, 3) . $bytes;
}

sub send_raw
{
    my ($self, $bytes) = @_;
    syswrite $self->{client}, $bytes;
    return;
}

sub send_packet
{
    my ($self, $payload) = @_;
    $self->send_raw(substr(pack('V', length $payload), 0, 3)
            . chr($self->{seq}++ & 255) . $payload);
    return;
}

sub receive
{
    my ($self, $n) = @_;
    my $bytes = '';
    while (length $bytes < $n) {
        sysread($self->{client}, $bytes, $n - length $bytes, length $bytes)
            or die "gone\n";
    }
    return $bytes;
}

sub receive_packet
{
    my ($self) = @_;
    my $head = $self->receive(4);
    $self->{seq} = 1 + ord substr $head, 3;
    return $self->receive(unpack 'V', substr($head, 0, 3) . "\0");
}

sub send_ok { my ($self) = @_; return $self->send_packet("\0\0\0\2\0\0\0") }

sub send_error
{
    my ($self, $code, $text) = @_;
    return $self->send_packet("\xff" . pack('v', $code) . "#HY000$text");
}

# Cells may be undef; rows need not have as many as there are columns.
sub send_rows
{
    my ($self, $ncolumns, @rows) = @_;
    $self->send_packet(chr $ncolumns);
    for my $i (1 .. $ncolumns) {
        $self->send_packet(lenenc('def') . lenenc('') x 3 . lenenc("c$i") x 2
                . "\x0c" . pack('vVCvC', 33, 1024, 253, 0, 0) . "\0\0");
    }
    $self->send_packet("\xfe\0\0\2\0");
    $self->send_packet(join '', map { lenenc($_) } @$_) for @rows;
    $self->send_packet("\xfe\0\0\2\0");
    return;
}

sub greeting
{
    my ($version) = @_;
    return "\x0a$version\0" . pack('V', 7) . '12345678' . "\0"
        . pack('v', 0xa20d) . chr(33) . pack('v', 2) . pack('v', 0x000a)
        . chr(21) . "\0" x 10 . '123456789012' . "\0mysql_native_password\0";
}

# ---- Events, without checksums

sub event
{
    my ($type, $body, %option) = @_;
    my $len = $option{len} // 19 + length $body;
    return "\0" . pack('VCVVVv', 0, $type, 1, $len, $option{pos} // 0,
        $option{flags} // 0) . $body;
}

sub rotate_event { return event(4, pack('VV', 4, 0) . 'bin.000001', flags => 0x20) }

# ---- A connection

my @usual = (
    [ qr/\@\@version/ => sub { $_[0]->send_rows(2, [ '10.11.9-MariaDB-log', 'fake' ]) } ],
    [ qr/\@\@hostname/    => sub { $_[0]->send_rows(3, [ 1, 3306, 'fake' ]) } ],
    [ qr/'server_uid'/    => sub { $_[0]->send_rows(2, [ 'server_uid', 'abc=' ]) } ],
    [   qr/SHOW GLOBAL VARIABLES WHERE/ => sub {
            $_[0]->send_rows(2, [ 'log_bin', 'ON' ], [ 'binlog_format', 'ROW' ],
                [ 'binlog_row_image', 'FULL' ], [ 'binlog_row_metadata', 'FULL' ]);
        }
    ],
    [ qr/SHOW (?:MASTER|BINARY LOG) STATUS/ => sub { $_[0]->send_rows(4, [ 'bin.000001', 400, '', '' ]) } ],
    [ qr/gtid_binlog_pos/    => sub { $_[0]->send_rows(1, ['0-1-5']) } ],
    [ qr/gtid_binlog_state/  => sub { $_[0]->send_rows(1, ['0-1-5']) } ],
    [ qr/BINLOG_GTID_POS/    => sub { $_[0]->send_rows(1, ['']) } ],
    [ qr/SHOW BINARY LOGS/   => sub { $_[0]->send_rows(2, [ 'bin.000001', 400 ]) } ],
    [ qr/^(?:SET|DO)/        => sub { $_[0]->send_ok } ],
);

sub answer
{
    my ($self, $sql) = @_;
    my $special = $self->{answer} // {};
    for my $pattern (keys %$special) {
        return $special->{$pattern}->($self, $sql) if $sql =~ $pattern;
    }
    for (@usual) {
        return $_->[1]->($self) if $sql =~ $_->[0];
    }
    return $self->send_error(1064, "what is $sql?");
}

sub serve
{
    my ($self) = @_;
    my $greet = $self->{greet} // greeting('5.5.5-10.11.9-MariaDB-log');
    $self->{seq} = 0;
    sleep 3600 if $greet eq '';
    $self->send_packet($greet);
    $self->receive_packet;
    $self->{auth} ? $self->{auth}->($self) : $self->send_ok;
    while (1) {
        my $packet  = $self->receive_packet;
        my $command = ord $packet;
        return if $command == 1;
        $self->answer(substr $packet, 1) if $command == 3;
        $self->send_ok if $command == 21;
        if ($command == 18) {
            $self->{dump}->($self) if $self->{dump};
            sleep 3600 if !$self->{hang_up};
            return;
        }
    }
    return;
}

1;
