# Srchost.pm - runs a source module in t/live/srchost.c, without a server around
# it, and reads the lines that it prints.
package Weir::Srchost;
use strict;
use warnings;
use Time::HiRes qw(time);

my $runs = 0;

# `module` is the name of an installed one, as "source_mysql".
sub new
{
    my ($class, $test, $module) = @_;
    my $source = $ENV{WEIR_SOURCE} or die "WEIR_SOURCE is not set\n";
    my $self   = bless {
        test   => $test,
        host   => $test->dir . '/srchost',
        module => "$test->{prefix}/lib/weir/modules/$module.so",
    }, $class;
    my $flags = ($ENV{WEIR_BUILD} // '') =~ /asan/ ? '-fsanitize=address,undefined' : '';
    if (!-x $self->{host}) {
        system("cc -std=gnu11 -O1 -g $flags -I'$source/core/include' -rdynamic"
                . " -o '$self->{host}' '$source/t/live/srchost.c' -ldl") == 0
            or die "cc srchost.c: failed\n";
    }
    return $self;
}

sub start
{
    my ($self, @arguments) = @_;
    $self->{out} = sprintf '%s/host.%d.out', $self->{test}->dir, ++$runs;
    $self->{pid} = $self->{test}->spawn($self->{out}, $self->{host},
        $self->{module}, @arguments);
    return $self;
}

sub said
{
    my ($self) = @_;
    open my $in, '<:raw', $self->{out} or return '';
    local $/;
    return readline($in) // '';
}

# Until it has said that; what it matched.
sub wait_said
{
    my ($self, $pattern, $seconds) = @_;
    return Weir::wait_for(
        "the host says $pattern",
        $seconds // 20,
        sub {
            return $1 // $& if $self->said =~ $pattern;
            die "the host ended before it said $pattern:\n" . $self->said
                if $self->{test}->ended($self->{pid})
                && $self->said !~ $pattern;
            return undef;
        }
    );
}

# Until it has ended by itself; all that it said.
sub wait_end
{
    my ($self, $seconds) = @_;
    Weir::wait_for('the host ends', $seconds // 20,
        sub { $self->{test}->ended($self->{pid}) });
    return $self->said;
}

# Asks it to stop; milliseconds until it had.
sub stop
{
    my ($self) = @_;
    my $begin = time;
    kill 'TERM', $self->{pid};
    $self->wait_end;
    return (time - $begin) * 1000;
}

sub sanitizer_lines
{
    my ($test) = @_;
    my @found;
    for my $path (glob $test->dir . '/host.*.out') {
        open my $in, '<:raw', $path or die "$path: $!\n";
        push @found, grep { /Sanitizer|runtime error:/ } readline $in;
    }
    return @found;
}

sub run
{
    my ($self, @arguments) = @_;
    return $self->start(@arguments)->wait_end;
}

1;
