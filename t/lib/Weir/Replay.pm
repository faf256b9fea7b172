# Replay.pm - one server replayed into another: the target, the configuration,
# and whether both hold the same.
package Weir::Replay;
use strict;
use warnings;
use Exporter 'import';
use Test::More;
our @EXPORT = qw(replay_target replay_config replay_sinks copy_definitions
    wait_replayed put_replayed statements_since same_tables);

# WEIR_TARGET is `mariadb` (default), `mysql`, or a name of t/servers.
sub replay_target
{
    my ($t, %option) = @_;
    my $name = $ENV{WEIR_TARGET} // 'mariadb';
    my $target = $name eq 'mariadb' ? $t->mariadb(%option)
        : $name eq 'mysql' ? $t->mysql(%option)
        : $t->fetched($name =~ /^mysql/ ? 'Weir::Mysql' : 'Weir::Fetched', server => $name, %option);
    $target->do("CREATE USER 'replay'\@'%' IDENTIFIED BY 'secret'",
        "GRANT ALL ON *.* TO 'replay'\@'%'");
    return $target;
}

sub replay_config
{
    my ($db, $target, $dir, %option) = @_;
    return replay_sinks($db, $target,
        copy => [ $option{sink} // '', $option{mysql} // '' ]);
}

# Sinks by name: the sink's own settings, and the module's.
sub replay_sinks
{
    my ($db, $target, %sinks) = @_;
    my $sinks = join '', map { <<"EOT" } sort keys %sinks;
    sink $_ {
        tables = {"shop.*"}
        $sinks{$_}[0]
        mysql { host = "127.0.0.1" port = @{[ $target->port ]} user = "replay"
                password = "secret" $sinks{$_}[1] }
    }
EOT
    return <<"EOT";
pipeline shop {
    source { mysql { host = "127.0.0.1" port = @{[ $db->port ]} user = "weir"
                     password = "secret" start = earliest } }
$sinks
}
EOT
}

sub copy_definitions
{
    my ($db, $target, $schema, $as) = @_;
    $as //= $schema;
    $target->do("CREATE DATABASE $as CHARACTER SET utf8mb4", 'SET foreign_key_checks = 0');
    for my $table (tables_of($db, $schema)) {
        my $sql = ($db->rows("SHOW CREATE TABLE $schema.`$table`"))[0][1];
        $sql =~ s/\\n/\n/g;
        $sql =~ s/^CREATE TABLE /CREATE TABLE $as./;
        $sql =~ s/utf8mb4_0900_ai_ci/utf8mb4_general_ci/g;    # MariaDB has none
        $target->do($sql);
    }
    $target->do('SET foreign_key_checks = 1');
    return;
}

sub tables_of
{
    my ($db, $schema) = @_;
    return map { pack 'H*', $_->[0] } $db->rows("SELECT HEX(TABLE_NAME) FROM information_schema.TABLES
        WHERE TABLE_SCHEMA = '$schema' AND TABLE_TYPE LIKE '%BASE TABLE%' ORDER BY 1");
}

# Until the ledger's last number is there.
sub wait_replayed
{
    my ($db, $target, $as) = @_;
    my $ledger = 'SELECT COUNT(*), IFNULL(SUM(n), 0) FROM shop.ledger';
    my $want = join ' ', @{ ($db->rows($ledger))[0] };
    $ledger =~ s/shop/$as/ if $as;
    Weir::wait_for("the target's ledger", 60, sub {
        return join(' ', @{ ($target->rows($ledger))[0] }) eq $want;
    });
    return;
}

# Statements in `shop`, then a row of its ledger; waits until all is there.
my $put = 0;
sub put_replayed
{
    my ($db, $target, @sql) = @_;
    $db->do('USE shop', "SET sql_mode = 'ALLOW_INVALID_DATES'", @sql, 'INSERT INTO ledger VALUES (' . ++$put . ')');
    wait_replayed($db, $target);
    return;
}

# How often each of these statements was run there since the last time.
my %before;
sub statements_since
{
    my ($target) = @_;
    my %now = map { $_ => ($target->rows("SHOW GLOBAL STATUS LIKE 'Com_$_'"))[0][1] }
        qw(update update_multi delete delete_multi);
    my %since = map { $_ => $now{$_} - ($before{$_} // 0) } keys %now;
    %before = %now;
    return \%since;
}

# All columns as hexadecimal digits, so that no charset and no form hides a
# difference.
sub digest
{
    my ($db, $schema, $table) = @_;
    my $name = $table =~ s/'/''/gr;
    my @columns = $db->rows("SELECT HEX(COLUMN_NAME), DATA_TYPE FROM
        information_schema.COLUMNS WHERE TABLE_SCHEMA = '$schema' AND TABLE_NAME = '$name'
        AND CAST(TABLE_NAME AS BINARY) = _binary'$name' ORDER BY CAST(COLUMN_NAME AS BINARY)");
    # HEX() of a number is of what it is as a BIGINT.
    my $all = join ', ', map {
        my $column = quoted(pack 'H*', $_->[0]);
        $_->[1] =~ /float|double|decimal/ ? "IFNULL(CONCAT($column * 1), '-')"
            : $_->[1] =~ /enum|set/ ? "IFNULL(CONCAT(HEX($column), '/', $column + 0), '-')"
            : "IFNULL(HEX($column), '-')"
    } @columns;
    return join "\n", sort map { join ' ', @$_ } $db->rows("SELECT $all FROM $schema." . quoted($table));
}

sub quoted { my ($name) = @_; return '`' . $name =~ s/`/``/gr . '`' }

sub same_tables
{
    my ($db, $target, $schema, $when, $as) = @_;
    $as //= $schema;
    for my $table (tables_of($db, $schema)) {
        my ($want, $have) = (digest($db, $schema, $table), digest($target, $as, $table));
        ok($want eq $have, "$as.$table is the same $when") or show_difference($want, $have);
    }
    return;
}

sub show_difference
{
    my ($want, $have) = @_;
    my %want = map { $_ => 1 } split /\n/, $want;
    my %have = map { $_ => 1 } split /\n/, $have;
    my @missing = grep { !$have{$_} } sort keys %want;
    my @extra   = grep { !$want{$_} } sort keys %have;
    diag scalar(@missing) . ' rows missing, ' . @extra . ' too many';
    diag "missing: $_" for @missing[0 .. ($#missing > 2 ? 2 : $#missing)];
    diag "too many: $_" for @extra[0 .. ($#extra > 2 ? 2 : $#extra)];
    return;
}

1;
