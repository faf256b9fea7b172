# Proxy.pm - a TCP proxy between a server and who talks to it, that a test tells
# how to behave: to cut, reset, fall silent, slow down, delay, flip a bit.  A
# child that copies bytes and knows no protocol; it ends with its test.
package Weir::Proxy;
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use POSIX qw(setpgid);

# To 127.0.0.1:$to.
sub new
{
    my ($class, $test, $to) = @_;
    my $listener = IO::Socket::INET->new(
        Listen    => 64,
        LocalAddr => '127.0.0.1',
        LocalPort => 0,
        Blocking  => 0
    ) or die "proxy: $!\n";
    pipe(my $read,    my $write) or die "pipe: $!\n";
    pipe(my $answers, my $said)  or die "pipe: $!\n";
    my $port = $listener->sockport;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgid(0, 0);
        close $_ for $write, $answers, $test->{guard};
        $SIG{PIPE} = 'IGNORE';
        eval { Weir::Proxy::Copier->new($listener, $to, $read, $said)->run; 1 }
            or print STDERR "proxy: $@";
        POSIX::_exit(0);
    }
    setpgid($pid, $pid);
    syswrite $test->{guard}, "$pid\n";
    close $_ for $read, $said, $listener;
    $write->autoflush(1);
    return bless {
        port    => $port,
        owner   => $$,
        pid     => $pid,
        orders  => $write,
        answers => $answers
    }, $class;
}

sub port { return $_[0]{port} }

# An order; the number that it is answered with.
sub order
{
    my ($self, $order) = @_;
    print { $self->{orders} } "$order\n";
    my $answer = readline $self->{answers};
    die "proxy: it is gone\n" if !defined $answer;
    return 0 + $answer;
}

# Ends all connections, with FIN or with RST; how many there were.
sub cut   { return $_[0]->order('cut') }
sub reset { return $_[0]->order('reset') }

# Half open: on the connections that there are nothing comes through any more,
# in either direction, and nobody is told, not even of their ends.  How many.
sub freeze { return $_[0]->order('freeze') }

# New connections are accepted, and nothing comes through.
sub mute { return $_[0]->order('mute') }

# So many bytes a second at most, each way; each byte so many ms later.
sub slow  { my ($self, $rate) = @_; return $self->order("slow $rate") }
sub delay { my ($self, $ms)   = @_; return $self->order("delay $ms") }

# One bit (0 to 7) of what the server sends, after so many more bytes.
sub flip { my ($self, $after, $bit) = @_; return $self->order("flip $after $bit") }

# All as it should be; what was frozen goes on where it was.
sub pass { return $_[0]->order('pass') }

# So far: connections made, bytes of the server's passed on, bits flipped.
sub connections { return $_[0]->order('connections') }
sub bytes       { return $_[0]->order('bytes') }
sub flipped     { return $_[0]->order('flipped') }

sub stop
{
    my ($self) = @_;
    my $pid = delete $self->{pid} // return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY
{
    my ($self) = @_;
    local ($?, $!, $@);
    $self->stop if $self->{pid} && $self->{owner} == $$;
    return;
}

# ---- The child

# An end is { handle, pair, other, queue: [ when, bytes ] that are to be sent to
# it, held: how many bytes those are, server: whether the server is there }.
package Weir::Proxy::Copier;
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use constant { CHUNK => 16384, HELD_MOST => 1 << 20, SLICE => 0.02 };

sub new
{
    my ($class, $listener, $to, $orders, $said) = @_;
    return bless {
        listener => $listener, to => $to, orders => $orders, said => $said,
        pairs => [], rate => 0, delay => 0, mute => 0,
        connections => 0, bytes => 0, flipped => 0,
    }, $class;
}

sub accept_one
{
    my ($self) = @_;
    my $client = $self->{listener}->accept or return;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{to}, Timeout => 5) or return;    # as it does
    $self->{connections}++;
    my $pair = { frozen => $self->{mute} };
    my @ends = map { { handle => $_, pair => $pair, queue => [], held => 0 } } $client, $server;
    $ends[1]{server} = 1;
    @$pair{qw(client server)} = @ends;
    for my $i (0, 1) {
        $ends[$i]{other} = $ends[ 1 - $i ];
        $ends[$i]{handle}->blocking(0);
        setsockopt $ends[$i]{handle}, IPPROTO_TCP, TCP_NODELAY, 1;
    }
    push @{ $self->{pairs} }, $pair;
    return;
}

sub close_pair
{
    my ($self, $pair) = @_;
    return if $pair->{closed}++;
    $self->{pairs} = [ grep { $_ != $pair } @{ $self->{pairs} } ];
    for my $end (@$pair{qw(client server)}) {
        close $end->{handle};
        delete @$end{qw(other pair)};
    }
    return;
}

sub end_all
{
    my ($self, $with_reset) = @_;
    for my $pair (@{ $self->{pairs} }) {
        for my $end ($with_reset ? @$pair{qw(client server)} : ()) {
            setsockopt $end->{handle}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
        }
        $self->close_pair($pair);
    }
    return;
}

sub obey
{
    my ($self) = @_;
    defined(my $order = readline $self->{orders}) or return 0;
    my ($what, $n, $bit) = split ' ', $order;
    my $answer = @{ $self->{pairs} };
    if ($what eq 'cut' || $what eq 'reset') {
        $self->end_all($what eq 'reset');
    } elsif ($what eq 'freeze') {
        $_->{frozen} = 1 for @{ $self->{pairs} };
    } elsif ($what eq 'mute') {
        $self->{mute} = 1;
    } elsif ($what eq 'slow') {
        @$self{qw(rate budget filled_at)} = ($n, 0, time);
    } elsif ($what eq 'delay') {
        $self->{delay} = $n / 1000;
    } elsif ($what eq 'flip') {
        @$self{qw(flip_after flip_bit)} = ($n, $bit);
    } elsif ($what eq 'pass') {
        @$self{qw(rate delay mute)} = (0, 0, 0);
        $_->{frozen} = 0 for @{ $self->{pairs} };
    } else {
        $answer = $self->{$what} // -1;
    }
    syswrite $self->{said}, "$answer\n";
    return 1;
}

sub flip_in
{
    my ($self, $bytes) = @_;
    my $after = $self->{flip_after};
    if ($after >= length $$bytes) {
        $self->{flip_after} -= length $$bytes;
        return;
    }
    substr($$bytes, $after, 1) ^= chr(1 << $self->{flip_bit});
    delete $self->{flip_after};
    $self->{flipped}++;
    return;
}

sub read_from
{
    my ($self, $end) = @_;
    my $n = sysread $end->{handle}, my $bytes, CHUNK;
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    my $to = $end->{other};
    if (!$n) {
        $end->{ended} = 1;
        return $to->{held} ? undef : $self->close_pair($end->{pair});
    }
    if ($end->{server}) {
        $self->{bytes} += $n;
        $self->flip_in(\$bytes) if defined $self->{flip_after};
    }
    $self->{budget} -= $n if $self->{rate};
    push @{ $to->{queue} }, [ time + $self->{delay}, $bytes ];
    $to->{held} += $n;
    return $self->write_to($to) if !$self->{delay};
    return;
}

sub write_to
{
    my ($self, $end) = @_;
    my $now = time;
    while (my $first = $end->{queue}[0]) {
        return if $first->[0] > $now;
        my $n = syswrite $end->{handle}, $first->[1];
        if (!defined $n) {
            return $! == EAGAIN || $! == EINTR ? undef : $self->close_pair($end->{pair});
        }
        $end->{held} -= $n;
        substr $first->[1], 0, $n, '';
        return if length $first->[1];
        shift @{ $end->{queue} };
    }
    $self->close_pair($end->{pair}) if $end->{other}{ended};
    return;
}

# Whether anything may be read now.
sub has_budget
{
    my ($self) = @_;
    return 1 if !$self->{rate};
    my $now = time;
    $self->{budget} += $self->{rate} * ($now - $self->{filled_at});
    $self->{filled_at} = $now;
    my $most = $self->{rate} * 2 * SLICE;
    $self->{budget} = $most if $self->{budget} > $most;
    return $self->{budget} > 0;
}

# What is to be looked at: two bit vectors, ends by descriptor, and until when.
sub interest
{
    my ($self) = @_;
    my ($read, $write, %end) = ('', '');
    my $until = $self->{rate} ? time + SLICE : undef;
    vec($read, fileno $self->{$_}, 1) = 1 for qw(orders listener);
    my $may = $self->has_budget;
    for my $end (map { @$_{qw(client server)} } grep { !$_->{frozen} } @{ $self->{pairs} }) {
        my $fd = fileno $end->{handle};
        $end{$fd} = $end;
        vec($read, $fd, 1) = 1
            if $may && !$end->{ended} && $end->{other}{held} < HELD_MOST;
        my $first = $end->{queue}[0] // next;
        if ($first->[0] <= time) {
            vec($write, $fd, 1) = 1;
        } elsif (!$until || $first->[0] < $until) {
            $until = $first->[0];
        }
    }
    return ($read, $write, \%end, $until);
}

sub run
{
    my ($self) = @_;
    while (1) {
        my ($read, $write, $ends, $until) = $self->interest;
        my $wait = defined $until ? $until - time : undef;
        next if select($read, $write, undef, defined $wait && $wait < 0 ? 0 : $wait) < 0;
        for my $fd (keys %$ends) {
            my $end = $ends->{$fd};
            $self->write_to($end)  if $end->{pair} && vec $write, $fd, 1;
            $self->read_from($end) if $end->{pair} && vec $read,  $fd, 1;
        }
        $self->accept_one if vec $read, fileno $self->{listener}, 1;
        if (vec $read, fileno $self->{orders}, 1) {
            $self->obey or return;
        }
    }
}

1;
