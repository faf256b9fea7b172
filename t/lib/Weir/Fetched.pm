# Fetched.pm - a private server of t/servers for a test, a MariaDB; otherwise as
# Mariadb.pm.  Knows no Weir.
package Weir::Fetched;
use strict;
use warnings;
use parent -norequire, 'Weir::Mariadb';

# The folder of a server; dies with the reason if it can't be had.  With
# WEIR_FETCH=no it isn't tried: t/run has.
sub fetch
{
    my ($source, $name) = @_;
    my $how = ($ENV{WEIR_FETCH} // '') eq 'no' ? '--have' : '';
    my $said = `'$source/t/servers/fetch' $how '$name'`;
    die $said || "t/servers/fetch $name: $?\n" if $?;
    chomp $said;
    return $said;
}

# What is said of it in my.cnf's words, as options, the test's own last.
sub options
{
    my ($self) = @_;
    return (
        "--server-id=$self->{server_id}",         '--character-set-server=utf8mb4',
        '--sync-binlog=0',                        '--max-allowed-packet=256M',
        '--innodb-flush-log-at-trx-commit=2',     '--loose-innodb-use-native-aio=OFF',
        $self->own_options,
        $self->{compressed} ? $self->compression : (),
        map { "--$_" } $self->cnf_options
    );
}

# Without skip_ssl 11.4 makes itself a key at each start, which takes 10 s.
sub own_options
{
    return ('--innodb-log-file-size=512M', '--innodb-fast-shutdown=2', '--skip-ssl');
}

sub compression { return ('--log-bin-compress=ON', '--log-bin-compress-min-len=10') }

sub cnf_options
{
    my ($self) = @_;
    return map { s/\s*=\s*/=/r } $self->{cnf} =~ /^\s*(\w+\s*=.*?)\s*$/mg;
}

sub write_cnf { return }
sub make_data { return }

sub launch
{
    my ($self) = @_;
    my $source = $ENV{WEIR_SOURCE} or die "WEIR_SOURCE is not set\n";
    return $self->{test}->spawn("$self->{dir}/out", "$source/t/servers/start",
        $self->{server}, $self->{dir}, $self->{port}, $self->options);
}

1;
