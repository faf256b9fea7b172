# Mysql.pm - a private MySQL server for a test, from t/servers; otherwise as
# Mariadb.pm, whose statements it takes.  Knows no Weir.
package Weir::Mysql;
use strict;
use warnings;
use parent -norequire, 'Weir::Mariadb';

our $name = 'mysql-9.7';

# Its folder; dies with the reason if it can't be had.
sub fetch
{
    my ($source) = @_;
    my $said = `'$source/t/servers/fetch' $name`;
    die $said if $?;
    chomp $said;
    return $said;
}

# Lines of a my.cnf, "name = value", as options; MariaDB's names of values are
# taken for MySQL's.
sub options
{
    my ($self) = @_;
    my @options = (
        "--server-id=$self->{server_id}", '--gtid-mode=ON',
        '--enforce-gtid-consistency=ON',  '--character-set-server=utf8mb4',
        '--sync-binlog=0',                '--innodb-flush-log-at-trx-commit=2',
        '--innodb-redo-log-capacity=512M', '--max-allowed-packet=256M',
        '--innodb-use-native-aio=OFF',    '--cte-max-recursion-depth=1000000',
    );
    push @options, '--binlog-transaction-compression=ON'
        if ($ENV{WEIR_SERVER} // '') eq 'mysql-zstd';
    for my $line (split /\n/, $self->{cnf}) {
        my ($key, $value) = $line =~ /^\s*(\w+)\s*=\s*(.*?)\s*$/ or next;
        $value = 'MINIMAL' if $key eq 'binlog_row_metadata' && $value eq 'NO_LOG';
        push @options, "--$key=$value";
    }
    return @options;
}

sub write_cnf { return }
sub make_data { return }

sub launch
{
    my ($self) = @_;
    my $source = $ENV{WEIR_SOURCE} or die "WEIR_SOURCE is not set\n";
    return $self->{test}->spawn("$self->{dir}/out", "$source/t/servers/start",
        $name, $self->{dir}, $self->{port}, $self->options);
}

sub rights { return 'REPLICATION SLAVE, REPLICATION CLIENT, SELECT' }
sub gtid_pattern { return qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d+$/ }
sub gtids { my ($self) = @_; return $self->value('SELECT @@GLOBAL.gtid_executed') =~ s/\\n//gr }

# Of the server's last transaction.
sub last_gtid
{
    my ($self) = @_;
    my ($uuid, $n) = $self->gtids =~ /^([0-9a-f-]{36}):(?:.*[-:])?(\d+)$/;
    return "$uuid:$n";
}

# File and offset of the binlog's end.
sub place { my ($self) = @_; return ($self->rows('SHOW BINARY LOG STATUS'))[0] }

# Numbers from 1 up, as a table to select `seq` from.
sub sequence
{
    my ($self, $n) = @_;
    return "(WITH RECURSIVE n AS (SELECT 1 AS seq UNION ALL SELECT seq + 1"
        . " FROM n WHERE seq < $n) SELECT seq FROM n) AS numbers";
}

sub columns_come_and_go { return 0 }

1;
