# Redis.pm - a private Redis for a test, and a client of its protocol.
package Weir::Redis;
use strict;
use warnings;
use Carp qw(croak);
use IO::Socket::INET;

my $count = 0;

# args: more arguments for redis-server.  Its data outlives a stop, and with
# `durable` a crash.
sub new
{
    my ($class, $test, %option) = @_;
    my $name = 'redis' . ++$count;
    my $self = bless {
        test     => $test,
        name     => $name,
        dir      => $test->make_dir($name),
        port     => Weir::free_port(),
        args     => $option{args} // [],
        durable  => $option{durable} ? 1 : 0,
        password => $option{password},
    }, $class;
    $self->start;
    return $self;
}

sub port   { return $_[0]{port} }
sub socket { return "$_[0]{dir}/redis.sock" }

# `fine`: an error that will do for an answer.
sub start
{
    my ($self, $fine) = @_;
    my @keep = $self->{durable}
        ? ('--appendonly', 'yes', '--appendfsync', 'always', '--save', '')
        : ('--appendonly', 'no', '--save', '86400 1');
    $self->{pid} = $self->{test}->spawn(
        "$self->{dir}/out",
        Weir::find_program('redis-server', 'redis-check-rdb'),
        '--port', $self->{port}, '--bind', '127.0.0.1', '--dir',
        $self->{dir}, '--unixsocket', $self->socket, '--daemonize', 'no',
        @keep, @{ $self->{args} }
    );
    Weir::wait_for(
        "start of $self->{name}",
        20,
        sub {
            die $self->last_words if $self->{test}->ended($self->{pid});
            eval { $self->ask('PING'); 1 } || $@ =~ ($fine // qr/NOAUTH/);
        }
    );
    return;
}

sub is_running
{
    my ($self) = @_;
    return $self->{pid} && !$self->{test}->ended($self->{pid});
}

sub stop  { my ($self) = @_; return $self->end_by('TERM') }
sub crash { my ($self) = @_; return $self->end_by('KILL') }

sub end_by
{
    my ($self, $signal) = @_;
    delete $self->{connection};
    kill $signal, $self->{pid};
    Weir::wait_for("end of $self->{name}", 20,
        sub { $self->{test}->ended($self->{pid}) });
    delete $self->{pid};
    return;
}

sub last_words
{
    my ($self) = @_;
    return "$self->{name}:\n" . `tail -n 2 '$self->{dir}/out' 2>&1`;
}

# ---- The protocol

sub connection
{
    my ($self) = @_;
    return $self->{connection} if $self->{connection};
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1',
        PeerPort => $self->{port},
    ) or croak "connect to $self->{name}: $!";
    binmode $socket;
    $self->{connection} = $socket;
    $self->ask('AUTH', $self->{password}) if defined $self->{password};
    return $socket;
}

sub command_text
{
    my (@words) = @_;
    return '*' . @words . "\r\n"
        . join '', map { '$' . length($_) . "\r\n$_\r\n" } @words;
}

# One command; dies on an error reply.
sub ask
{
    my ($self, @words) = @_;
    my ($reply) = $self->pipeline([@words]);
    croak "redis: @words[0 .. ($#words > 3 ? 3 : $#words)]: $$reply"
        if ref $reply eq 'SCALAR';
    return $reply;
}

# Several at once; an error reply is a reference to its text.
sub pipeline
{
    my ($self, @commands) = @_;
    my $socket = $self->connection;
    my $ok = eval {
        print {$socket} join '', map { command_text(@$_) } @commands;
        1;
    };
    my @replies = map { $self->reply($socket) } @commands;
    return @replies;
}

sub reply
{
    my ($self, $socket) = @_;
    my $line = readline $socket;
    if (!defined $line) {
        delete $self->{connection};
        croak "$self->{name}: the connection is gone";
    }
    $line =~ s/\r\n$//;
    my ($kind, $rest) = (substr($line, 0, 1), substr $line, 1);
    return $rest if $kind eq '+' || $kind eq ':';
    return \$rest if $kind eq '-';
    return undef if $rest eq '-1';
    return [ map { $self->reply($socket) } 1 .. $rest ] if $kind eq '*';
    croak "redis: what is '$line'?" if $kind ne '$';
    my $bytes = '';
    while (length $bytes < $rest + 2) {
        read $socket, $bytes, $rest + 2 - length $bytes, length $bytes
            or croak "$self->{name}: the connection is gone";
    }
    return substr $bytes, 0, $rest;
}

# A hash as one.
sub hash
{
    my ($self, $key) = @_;
    return { @{ $self->ask('HGETALL', $key) } };
}

# All hashes whose keys match: key => hash.
sub hashes
{
    my ($self, $pattern) = @_;
    my @keys = @{ $self->ask('KEYS', $pattern) };
    my %all;
    while (my @some = splice @keys, 0, 500) {
        my @replies = $self->pipeline(map { [ 'HGETALL', $_ ] } @some);
        @all{@some} = map { ref $_ eq 'ARRAY' ? {@$_} : {} } @replies;
    }
    return \%all;
}

1;
