# Ddlhost.pm - core/schema/ddl.h as a program (t/live/ddlhost.c): statements in,
# what is known of a table out.
package Weir::Ddlhost;
use strict;
use warnings;
use IPC::Open2;

sub new
{
    my ($class, $test, @session) = @_;
    my ($source, $build) = @ENV{qw(WEIR_SOURCE WEIR_BUILD)};
    my $host  = $test->dir . '/ddlhost';
    my $flags = $build =~ /asan/ ? '-fsanitize=address,undefined' : '';
    system("cc -std=gnu11 -D_GNU_SOURCE -O1 -g $flags -I'$source/core/include'"
            . " -I'$source/core' -o '$host' '$source/t/live/ddlhost.c'"
            . " '$build/libcore.a' -ldeflate -lzstd -lm") == 0
        or die "cc ddlhost.c: failed\n";
    my $pid = open2(my $out, my $in, $host, @session);
    binmode $in;
    binmode $out;
    $in->autoflush(1);
    return bless { pid => $pid, in => $in, out => $out, owner => $$ }, $class;
}

# '' if it was understood, else why not.
sub follow
{
    my ($self, $schema, $sql, $mode) = @_;
    $sql =~ tr/\n/\x01/;
    print { $self->{in} } ($mode // 0) . "\t$schema\t$sql\n";
    my $line = readline $self->{out} // die "ddlhost is gone\n";
    chomp $line;
    return $line eq 'ok' ? '' : $line;
}

sub forget { my ($self) = @_; print { $self->{in} } "!\n"; return }

sub table
{
    my ($self, $schema, $name) = @_;
    print { $self->{in} } "?\t$schema\t$name\n";
    my @lines;
    while (defined(my $line = readline $self->{out})) {
        chomp $line;
        return @lines if $line eq '.';
        push @lines, $line;
    }
    die "ddlhost is gone\n";
}

sub DESTROY
{
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!);
    close $self->{in};
    close $self->{out};
    waitpid $self->{pid}, 0;
    return;
}

# By the clause: RENAME COLUMN leaves the constraint its old name.
sub json_of
{
    my ($db, $schema, $name) = @_;
    return map { $_->[0] =~ /^json_valid\(`(.*)`\)$/ ? ($1 => 1) : () }
        $db->rows("SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS"
            . " WHERE CONSTRAINT_SCHEMA = '$schema' AND TABLE_NAME = '$name'");
}

# The same lines from a server.
sub of_server
{
    my ($db, $schema, $name) = @_;
    my $where = "TABLE_SCHEMA = '$schema' AND TABLE_NAME = '$name'";
    my %json = ref $db ne 'Weir::Mysql' ? json_of($db, $schema, $name) : ();
    my (@lines, %null);
    for ($db->rows("SELECT COLUMN_NAME, COLUMN_TYPE, IFNULL(COLLATION_NAME, ''),"
            . " EXTRA, IS_NULLABLE FROM information_schema.COLUMNS WHERE $where"
            . ' ORDER BY ORDINAL_POSITION')) {
        my ($column, $type, $collation, $extra, $null) = @$_;
        $type = 'json' if $type eq 'longtext' && $json{$column};
        $type =~ s/\\\\/\\/g;    # as the client prints it
        $null{$column} = $null;
        push @lines, join "\t", $column, $type, $collation,
            ($extra =~ /(?:VIRTUAL|STORED) GENERATED/ ? 'G' : '') . ($extra =~ /INVISIBLE/ ? 'I' : '');
    }
    my (@index, %parts, @order, %unique);
    for ($db->rows('SELECT INDEX_NAME, 1 - NON_UNIQUE, COLUMN_NAME FROM'
            . " information_schema.STATISTICS WHERE $where"
            . (ref $db eq 'Weir::Mysql'
            ? " ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX" : ''))) {
        next if $_->[2] eq 'NULL';    # of an expression
        push @index, join "\t", 'index', @$_;
        push @order, $_->[0] if !$parts{ $_->[0] };
        push @{ $parts{ $_->[0] } }, $_->[2];
        $unique{ $_->[0] } = $_->[1];
    }
    for my $name (grep { $unique{$_} } @order) {
        next if grep { $null{$_} eq 'YES' } @{ $parts{$name} };
        push @lines, map { "key\t$_" } @{ $parts{$name} };
        last;
    }
    return (@lines, @index, map { "default\t$_->[0]" }
            $db->rows("SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE $where"));
}

1;
