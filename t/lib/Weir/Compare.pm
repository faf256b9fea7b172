# Compare.pm - a table in MariaDB and hashes in Redis, row by row and byte by
# byte.
package Weir::Compare;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(table_rows same_as_hashes);

# What a column's value looks like as text, in SQL; HEX keeps every byte.
sub column_sql
{
    my ($name, $type) = @_;
    my $text = $type =~ /^(?:binary|varbinary|\w*blob)/ ? "`$name`"
        : $type =~ /^bit/   ? "CAST(`$name` + 0 AS CHAR)"
        : $type =~ /^float/ ? "CAST(`$name` + 0e0 AS CHAR)"
        : "CONVERT(`$name` USING utf8mb4)";
    return "IFNULL(HEX($text), '~')";
}

sub columns_of
{
    my ($db, $schema, $table) = @_;
    return $db->rows("SELECT column_name, column_type FROM"
            . " information_schema.columns WHERE table_schema = '$schema'"
            . " AND table_name = '$table' ORDER BY ordinal_position");
}

# key => { column => bytes }; NULLs are left out, as HDEL does.
sub table_rows
{
    my ($db, $schema, $table, $key) = @_;
    my @columns = columns_of($db, $schema, $table);
    my $list = join ', ', map { column_sql(@$_) } @columns;
    my %rows;
    for my $row ($db->rows("SELECT $list FROM `$schema`.`$table`")) {
        my %hash;
        for my $i (0 .. $#columns) {
            next if $row->[$i] eq '~';
            $hash{ $columns[$i][0] } = pack 'H*', $row->[$i];
        }
        $rows{ $key->(\%hash) } = \%hash;
    }
    return (\%rows, { map { @$_ } @columns });
}

sub same_value
{
    my ($type, $sql, $redis) = @_;
    return 1 if $sql eq $redis;
    return $sql == $redis if $type =~ /^double/;
    return pack('f', $sql) eq pack('f', $redis) if $type =~ /^float/;
    return 0;
}

# What differs, as sentences; nothing: they are equal.  Fields of columns that
# the table no longer has are passed over: DROP COLUMN rewrites no row.
sub same_as_hashes
{
    my ($db, $redis, $schema, $table, $pattern, $key) = @_;
    my ($rows, $types) = table_rows($db, $schema, $table, $key);
    my $hashes = $redis->hashes($pattern);
    my @wrong;
    for my $name (sort keys %$rows) {
        my $hash = delete $hashes->{$name};
        if (!$hash) {
            push @wrong, "$name is missing in Redis";
            next;
        }
        push @wrong, differences($name, $types, $rows->{$name}, $hash);
    }
    push @wrong, map { "$_ is in Redis only" } sort keys %$hashes;
    splice @wrong, 20 if @wrong > 20;
    return (scalar keys %$rows, @wrong);
}

sub differences
{
    my ($name, $types, $row, $hash) = @_;
    my @wrong;
    for my $column (sort keys %$types) {
        my ($sql, $have) = ($row->{$column}, $hash->{$column});
        next if !defined $sql && !defined $have;
        next if defined $sql && defined $have
            && same_value($types->{$column}, $sql, $have);
        push @wrong, "$name.$column: " . show($sql) . ' in MariaDB, '
            . show($have) . ' in Redis';
    }
    return @wrong;
}

sub show
{
    my ($bytes) = @_;
    return 'NULL' if !defined $bytes;
    my $text = substr $bytes, 0, 60;
    $text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    return "'$text'";
}

1;
