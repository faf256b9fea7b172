# Cut.pm - a wire between a client and a server that breaks when it is told to:
# what a client sends and matches is passed on, and the answer never comes back.
# One child process.  Knows MySQL's packets as bytes only.
package Weir::Cut;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use POSIX qw(setpgid);

# to: the server's port.  Writes `cuts` lines "cut" to its pipe: one for each
# time that `pattern` was sent behind `skip` others.
sub new
{
    my ($class, $test, %option) = @_;
    my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0)
        or die "listen: $!\n";
    pipe(my $read, my $write) or die;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgid(0, 0);
        close $read;
        close $test->{guard};
        $SIG{PIPE} = 'IGNORE';
        bless({ %option, listener => $listener, notes => $write, seen => 0 }, $class)->serve;
        POSIX::_exit(0);
    }
    close $write;
    setpgid($pid, $pid);
    syswrite $test->{guard}, "$pid\n";
    return bless { port => $listener->sockport, pid => $pid, notes => $read }, $class;
}

sub port { return $_[0]{port} }

# Waits for the next cut.
sub wait_cut
{
    my ($self) = @_;
    my $set = '';
    vec($set, fileno $self->{notes}, 1) = 1;
    return select($set, undef, undef, 60) > 0 && sysread($self->{notes}, my $line, 4) == 4;
}

sub stop { my ($self) = @_; kill 'KILL', $self->{pid}; waitpid $self->{pid}, 0; return }

sub serve
{
    my ($self) = @_;
    my $select = IO::Select->new($self->{listener});
    my %other;
    while (my @ready = $select->can_read) {
        for my $from (@ready) {
            if ($from == $self->{listener}) {
                my $client = $from->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to})
                    or next;
                setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1 for $client, $server;
                @other{ $client, $server } = ([ $server, 1 ], [ $client, 0 ]);
                $select->add($client, $server);
                next;
            }
            my ($to, $is_client) = @{ $other{$from} // next };
            my $n = sysread $from, my $bytes, 1 << 20;
            my $cut = $is_client && $n && $self->is_cut($bytes);
            syswrite $to, $bytes if $n;
            if ($cut) {
                # The server has it and answers; nobody hears.
                IO::Select->new($to)->can_read(10);
                syswrite $self->{notes}, "cut\n";
            }
            next if $n && !$cut;
            $select->remove($from, $to);
            delete @other{ $from, $to };
            close $_ for $from, $to;
        }
    }
    return;
}

sub is_cut
{
    my ($self, $bytes) = @_;
    return 0 if $bytes !~ $self->{pattern};
    return ++$self->{seen} % $self->{every} == 0;
}

1;
