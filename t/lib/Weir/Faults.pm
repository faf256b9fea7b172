# Faults.pm - what can happen to the connection behind a Proxy, one after another:
# each ends with a connection that is as it should be, and with all that was
# committed meanwhile at its place.
package Weir::Faults;
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

# Whose connection it is; after how many seconds one that is half open is given
# up; `arrives` waits until what is committed from now on has arrived.
sub new
{
    my ($class, %option) = @_;
    return bless { %option, took => {} }, $class;
}

my %fault = (
    cut       => sub { $_[0]->broken('cut') },
    reset     => sub { $_[0]->broken('reset') },
    half_open => \&half_open,
    mute      => \&mute,
    stalled   => \&stalled,
    slow      => sub { $_[0]->bent('slow',  50_000) },
    delay     => sub { $_[0]->bent('delay', 150) },
);

sub kinds { return sort keys %fault }

# All is there again: how long that took.
sub do
{
    my ($self, $what) = @_;
    $fault{$what}->($self);
    $self->arrived($what);
    return;
}

sub arrived
{
    my ($self, $what) = @_;
    my $since = time;
    $self->{arrives}->();
    push @{ $self->{took}{$what} }, time - $since;
    return;
}

sub new_connection
{
    my ($self, $than, $seconds) = @_;
    Weir::wait_for("a new connection to the $self->{name}", $seconds // 30,
        sub { $self->{proxy}->connections > $than });
    return;
}

sub broken
{
    my ($self, $how) = @_;
    my $before = $self->{proxy}->connections;
    cmp_ok($self->{proxy}->$how, '>', 0, "$how: the $self->{name} was connected");
    $self->new_connection($before);
    return;
}

# It has to be noticed, within what the documentation says.
sub half_open
{
    my ($self) = @_;
    my ($before, $since) = ($self->{proxy}->connections, time);
    $self->{proxy}->freeze;
    $self->new_connection($before);
    my $noticed = time - $since;
    push @{ $self->{took}{'half open: until it is given up'} }, $noticed;
    cmp_ok($noticed, '<', ($self->{given_up} + 8) * $Weir::Slow,
        sprintf 'half open: the %s is given up after %.1f s', $self->{name}, $self->{given_up});
    return;
}

# Something accepts and says nothing.
sub mute
{
    my ($self) = @_;
    my $p = $self->{proxy};
    my $before = $p->connections;
    $p->mute;
    $p->cut;
    $self->new_connection($before + 1);    # given up, and again
    $p->pass;
    $p->cut;
    return;
}

# Shorter than what anybody takes for an end.
sub stalled
{
    my ($self) = @_;
    my $p = $self->{proxy};
    my $before = $p->connections;
    $p->freeze;
    sleep 0.4;
    $p->pass;
    $self->{arrives}->();
    is($p->connections, $before, "stalled: the $self->{name} is not connected to anew")
        if $Weir::Slow == 1;
    return;
}

sub bent
{
    my ($self, $how, $n) = @_;
    $self->{proxy}->$how($n);
    sleep 0.7;    # of a load
    $self->{proxy}->pass;
    return;
}

# A bit of what the server says: an event is found out by its checksum, the head
# of a packet by what follows.
sub flip
{
    my ($self) = @_;
    my $p = $self->{proxy};
    my ($before, $have) = ($p->connections, $p->flipped);
    $p->flip(int rand 20_000, int rand 8);
    Weir::wait_for('a bit is flipped', 60, sub { $p->flipped > $have });
    $self->new_connection($before, 60);
    $self->arrived('a flipped bit');
    return;
}

# The times, as notes.
sub report
{
    my ($self) = @_;
    for my $what (sort keys %{ $self->{took} }) {
        my @s = sort { $a <=> $b } @{ $self->{took}{$what} };
        note sprintf '%s, %s: %d times, p50 %.2f s, p95 %.2f s', $self->{name}, $what,
            scalar @s, $s[ $#s / 2 ], $s[ $#s * 0.95 ];
    }
    return;
}

1;
