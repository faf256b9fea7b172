# Client.pm - one connection to MariaDB, through the `mariadb` program: a
# statement in, its rows out, errors as text.
package Weir::Mariadb::Client;
use strict;
use warnings;
use Carp qw(croak);
use IO::Handle;
use IPC::Open3;

sub new
{
    my ($class, %option) = @_;
    my $user = $option{user} // 'root';
    my @password = defined $option{password} ? "-p$option{password}" : ();
    my $pid = open3(
        my $in, my $out, undef, 'mariadb', '--no-defaults', "-u$user",
        @password, "-S$option{socket}", '--batch', '--skip-column-names',
        '--unbuffered', '--force', '--binary-mode',
        '--default-character-set=utf8mb4', '--max-allowed-packet=256M'
    );
    binmode $in;
    binmode $out;
    $in->autoflush(1);
    my $self = bless { pid => $pid, in => $in, out => $out, mark => 0,
        owner => $$ }, $class;
    $self->{id} = $self->value('SELECT connection_id()');
    return $self;
}

sub DESTROY
{
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!, $@);
    kill 'TERM', $self->{pid};    # a child of ours may hold its input open
    close $self->{in};
    close $self->{out};
    waitpid $self->{pid}, 0;
    return;
}

# What the program prints for a statement, and its error or ''.
sub ask
{
    my ($self, $sql) = @_;
    my $mark = '#done ' . ++$self->{mark};
    local $SIG{PIPE} = 'IGNORE';
    print { $self->{in} } "$sql;\nSELECT '$mark';\n"
        or return ([], 'the connection is gone');
    my (@lines, $error);
    while (defined(my $line = readline $self->{out})) {
        chomp $line;
        return (\@lines, $error // '') if $line eq $mark;
        if ($line =~ /^ERROR (?:\d+ |at line)/) {
            $error //= $line;
            return (\@lines, $error) if lost($line);
            next;
        }
        push @lines, $line;
    }
    return (\@lines, $error // 'the connection is gone');
}

# 2002, 2006, 2013 and their like: nothing more will come.
sub lost
{
    my ($error) = @_;
    return $error =~ /^ERROR (?:2\d\d\d|1927|1053) /;
}

# Does it; dies on the first error.
sub do
{
    my ($self, @statements) = @_;
    for my $sql (@statements) {
        my ($lines, $error) = $self->ask($sql);
        croak "$error\n  in: " . substr($sql, 0, 200) if $error ne '';
    }
    return;
}

# Does it; gives the error, or ''.
sub try
{
    my ($self, $sql) = @_;
    my ($lines, $error) = $self->ask($sql);
    return $error;
}

# Rows as lists.  Fields come as the program prints them: select HEX() where
# bytes matter.
sub rows
{
    my ($self, $sql) = @_;
    my ($lines, $error) = $self->ask($sql);
    croak "$error\n  in: $sql" if $error ne '';
    return map { [ split /\t/, $_, -1 ] } @$lines;
}

sub value
{
    my ($self, $sql) = @_;
    my @rows = $self->rows($sql);
    return @rows ? $rows[0][0] : undef;
}

1;
