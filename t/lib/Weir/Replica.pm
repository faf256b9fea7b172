# Replica.pm - replication between the private servers of a test, in what each
# flavour says for it.  Knows no Weir.
package Weir::Replica;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(replicate promote replica_stop replica_start has_executed
    received replica_cnf freeze thaw);

# What a server that may take over needs in its my.cnf.
sub replica_cnf { return "log_slave_updates = ON\nrelay_log = relay" }

sub is_mysql { return $_[0]->isa('Weir::Mysql') }

# `what` there, as "START %s", by the name that it has in each flavour.
sub word { my ($db) = @_; return is_mysql($db) && $db->release >= 800 ? 'REPLICA' : 'SLAVE' }

sub replica_do
{
    my ($db, $form) = @_;
    $db->do(sprintf $form, word($db));
    return;
}

# From its beginning on; by the user that Weir logs in as.
sub replicate
{
    my ($db, $from) = @_;
    my $port = $from->port;
    $db->do(
        is_mysql($db) && $db->release < 800
        ? "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = $port,"
            . " MASTER_USER = 'weir', MASTER_PASSWORD = 'secret',"
            . " MASTER_AUTO_POSITION = 1, MASTER_CONNECT_RETRY = 1"
        : is_mysql($db)
        ? "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = $port,"
            . " SOURCE_USER = 'weir', SOURCE_PASSWORD = 'secret', SOURCE_AUTO_POSITION = 1,"
            . " GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1"
        : "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = $port,"
            . " MASTER_USER = 'weir', MASTER_PASSWORD = 'secret',"
            . " MASTER_USE_GTID = slave_pos, MASTER_SSL = 0, MASTER_CONNECT_RETRY = 1"
    );
    replica_start($db);
    return;
}

sub replica_start { my ($db, $thread) = @_; return replica_do($db, 'START %s ' . ($thread // '')) }
sub replica_stop  { my ($db, $thread) = @_; return replica_do($db, 'STOP %s ' . ($thread // '')) }

# It is nobody's replica from now on.
sub promote
{
    my ($db) = @_;
    replica_stop($db);
    replica_do($db, 'RESET %s ALL');
    return;
}

sub covers
{
    my ($db, $set, $gtids) = @_;
    return $db->value("SELECT GTID_SUBSET('$gtids', '$set')") if is_mysql($db);
    my ($have) = ($set // '') =~ /^0-\d+-(\d+)$/;
    my ($want) = $gtids =~ /^0-\d+-(\d+)$/ or die "GTIDs $gtids\n";
    return ($have // 0) >= $want;
}

sub has_executed { my ($db, $gtids) = @_; return covers($db, $db->gtids, $gtids) }

# A replica has it, executed or not.
sub received
{
    my ($db, $gtids) = @_;
    my ($row) = $db->rows('SHOW ' . word($db) . ' STATUS');
    my ($pattern) = is_mysql($db) ? qr/^[0-9a-f-]{36}:/ : qr/^0-\d+-\d+$/;
    my $set = join ',', grep { $_ =~ $pattern } map { s/\\n//gr } @$row;
    return covers($db, $set, $gtids);
}

sub freeze { my ($db) = @_; return kill 'STOP', $db->{pid} }
sub thaw   { my ($db) = @_; return kill 'CONT', $db->{pid} }

1;
