# Mysql.pm - a private MySQL server for a test, from t/servers; otherwise as
# Mariadb.pm, whose statements it takes.  Knows no Weir.
package Weir::Mysql;
use strict;
use warnings;
use parent -norequire, 'Weir::Fetched';

# Of which release: 505, 506, 800, 907.
sub release
{
    my ($self) = @_;
    my ($major, $minor) = $self->{server} =~ /-(\d+)\.(\d+)/;
    return 100 * $major + $minor;
}

sub own_options
{
    my ($self) = @_;
    return () if $self->release < 506;
    return $self->release < 800
        ? ('--gtid-mode=ON', '--enforce-gtid-consistency', '--log-slave-updates',
            '--innodb-log-file-size=256M')
        : ('--gtid-mode=ON', '--enforce-gtid-consistency=ON',
            '--innodb-redo-log-capacity=512M');
}

sub compression { return '--binlog-transaction-compression=ON' }

# MariaDB's names of values are taken for MySQL's; 5.6 logs no metadata.
sub cnf_options
{
    my ($self) = @_;
    return map { s/^(?=binlog_row_metadata=)/loose-/r }
        map { s/^(binlog_row_metadata=)NO_LOG/$1MINIMAL/r } $self->SUPER::cnf_options;
}

sub rights { return 'REPLICATION SLAVE, REPLICATION CLIENT, SELECT' }
sub gtid_pattern { return qr/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d+$/ }
sub gtids { my ($self) = @_; return ($self->value('SELECT @@GLOBAL.gtid_executed') // '') =~ s/\\n//gr }

# Of the server's last transaction.
sub last_gtid
{
    my ($self) = @_;
    my ($uuid, $n) = $self->gtids =~ /^([0-9a-f-]{36}):(?:.*[-:])?(\d+)$/;
    return "$uuid:$n";
}

# File and offset of the binlog's end.
sub place
{
    my ($self) = @_;
    my $log = $self->release < 802 ? 'MASTER' : 'BINARY LOG';
    return ($self->rows("SHOW $log STATUS"))[0];
}

# Numbers from 1 up, as a table to select `seq` from.
sub sequence
{
    my ($self, $n) = @_;
    my $digits = join ' UNION ALL ', 'SELECT 0 AS n', map { "SELECT $_" } 1 .. 9;
    my @places = ('a' .. 'z')[0 .. length($n) - 1];
    my $sum = join ' + ', 1, map { 10**$_ . " * $places[$_].n" } 0 .. $#places;
    return "(SELECT $sum AS seq FROM " . join(', ', map { "($digits) AS $_" } @places)
        . " HAVING seq <= $n ORDER BY seq) AS numbers";
}

sub columns_come_and_go { return 0 }
sub logs_cascades { my ($self) = @_; return $self->release >= 906 }

1;
