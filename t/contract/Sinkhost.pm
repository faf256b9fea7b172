# Sinkhost.pm - one module in a host of its own (sinkhost.c): lines of its
# script in, answers out.
package Sinkhost;
use strict;
use warnings;
use IPC::Open2;

my $build = $ENV{WEIR_BUILD} // '.';

sub host_program { return "$build/t/contract/sinkhost" }

# Modules of the build, or a path.
sub module_path
{
    my ($name) = @_;
    return $name =~ m{/} ? $name : "$build/.libs/$name.so";
}

sub new
{
    my ($class, $module, $folder, %directive) = @_;
    my $pid = open2(my $out, my $in, host_program(), module_path($module),
        $folder, map { "$_=$directive{$_}" } sort keys %directive);
    $in->autoflush(1);
    binmode $_ for $in, $out;
    return bless { pid => $pid, in => $in, out => $out }, $class;
}

# One line; the status, and what was printed before it.  A reason is in
# $host->{reason}.
sub tell
{
    my ($self, $line) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print { $self->{in} } "$line\n";
    return $self->answer;
}

sub answer
{
    my ($self) = @_;
    $self->{lines}  = [];
    $self->{reason} = '';
    while (defined(my $line = readline $self->{out})) {
        chomp $line;
        if ($line =~ /^= (\w+)(?:: (.*))?$/) {
            $self->{reason} = $2 // '';
            return $1;
        }
        push @{ $self->{lines} }, $line;
    }
    return 'GONE';
}

# Several, each of which has to be OK but the last; its status.
sub run
{
    my ($self, @lines) = @_;
    my $status;
    while (defined(my $line = shift @lines)) {
        $status = $self->tell($line);
        return "$line: $status: $self->{reason}" if @lines && $status ne 'OK';
    }
    return $status;
}

# "found" lines as DATA by slot.
sub found
{
    my ($self) = @_;
    return { map { /^found (\d+) (\d+) (.*)/ ? ($1 => "$2 $3") : () }
            @{ $self->{lines} } };
}

sub lines { return join "\n", @{ $_[0]{lines} } }

sub crash
{
    my ($self) = @_;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return;
}

sub end
{
    my ($self) = @_;
    close $self->{in};
    my @rest = readline $self->{out};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return $?;
}

sub DESTROY
{
    my ($self) = @_;
    local $?;
    $self->crash if $self->{pid};
    return;
}

1;
