# Fidelity.pm - what a server says of its rows, and what Weir says: both as
# images of columns in one form, to be compared statement by statement.  Cases
# are statements; no value of theirs is written down here: the server is asked
# before and after each.
package Weir::Fidelity;
use strict;
use warnings;
use MIME::Base64 qw(decode_base64);

# What a column's value is in SQL, as hexadecimal text; and what kind of JSON
# stands for it.  Columns of MariaDB's whose names begin with j are its JSON.
my @kinds = (
    [ qr/^(?:(?:tiny|small|medium|big)?int|year|bit)\b/, 'number', sub { "HEX(CAST($_[0] + 0 AS CHAR))" } ],
    [ qr/^decimal/,   'number', sub { "HEX(CAST($_[0] AS CHAR))" } ],
    [ qr/^float/,     'float',  sub { "HEX(CAST(CAST($_[0] AS DOUBLE) AS CHAR))" } ],
    [ qr/^double/,    'double', sub { "HEX(CAST($_[0] AS CHAR))" } ],
    [ qr/^vector/,    'vector', sub { "HEX($_[0])" } ],
    [ qr/^json/,      'json',   sub { "HEX(CAST($_[0] AS CHAR))" } ],
    [ qr/^timestamp/, 'instant', sub { "HEX(CAST($_[0] AS CHAR))" } ],
    [ qr/^(?:\w*binary|\w*blob|geometry|point|polygon|linestring)/, 'bytes', sub { "HEX($_[0])" } ],
    [ qr/^(?:date|time|uuid|inet)/, 'text', sub { "HEX(CAST($_[0] AS CHAR))" } ],
    [ qr/./, 'text', sub { "HEX(CONVERT($_[0] USING utf8mb4))" } ],
);

# c: a connection of a case's own.
sub new
{
    my ($class, $db) = @_;
    my $c = $db->client;
    $c->do("SET time_zone = '+00:00', sql_mode = ''");
    return bless { db => $db, c => $c }, $class;
}

sub quoted { return '`' . ($_[0] =~ s/`/``/gr) . '`' }
sub bytes  { return pack 'H*', $_[0] }

# The cases for a flavour: { name, on, sql }.
sub cases
{
    my ($path, $flavour) = @_;
    my @cases;
    for my $line (grep { !/^(?:#|$)/ } Weir::Server::lines_of($path)) {
        if ($line =~ /^== (?:\[([\w ]+)\] )?(.+)/) {
            push @cases, { name => $2, on => $1 // '', sql => [] };
        } elsif ($line =~ s/^ +/ /) {
            $cases[-1]{sql}[-1] .= $line;
        } else {
            push @{ $cases[-1]{sql} }, $line;
        }
        s/\{1\.\.(\d+) (.*?)\}/my $text = $2; join ',', map { $text =~ s,#,$_,r } 1 .. $1/ge
            for @{ $cases[-1]{sql} };
    }
    my $other = $flavour eq 'mysql' ? 'mariadb' : 'mysql';
    return grep { $_->{on} !~ /$other/ } @cases;
}

# ---- The server's side

sub tables_of
{
    my ($self, $schema) = @_;
    my %tables;
    for ($self->{c}->rows('SELECT HEX(TABLE_NAME), TABLE_TYPE FROM information_schema.TABLES'
            . " WHERE TABLE_SCHEMA = '$schema' AND TABLE_TYPE NOT LIKE '%VIEW'")) {
        $tables{ bytes($_->[0]) } = { type => $_->[1], columns => [] };
    }
    for ($self->{c}->rows('SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME), COLUMN_TYPE, GENERATION_EXPRESSION'
            . " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '$schema'"
            . ' ORDER BY TABLE_NAME, ORDINAL_POSITION')) {
        my ($table, $name, $type) = (bytes($_->[0]), bytes($_->[1]), $_->[2]);
        next if !$tables{$table};
        $type = 'json' if $type eq 'longtext' && $name =~ /^j/;
        $tables{$table}{versions} ||= ($_->[3] // '') eq 'ROW START';
        my ($kind) = grep { $type =~ $_->[0] } @kinds;
        push @{ $tables{$table}{columns} }, [ $name, $kind->[1], $kind->[2]->(quoted($name)) ];
    }
    return \%tables;
}

# Columns that information_schema does not list: of versions, unless declared.
sub add_hidden
{
    my ($table) = @_;
    return if $table->{type} ne 'SYSTEM VERSIONED';
    return if $table->{versions};
    push @{ $table->{columns} },
        map { [ $_, 'instant', "HEX(CAST($_ AS CHAR))" ] } qw(row_start row_end);
    return;
}

# table => { columns, rows: image => how often }
sub snapshot
{
    my ($self, $schema) = @_;
    my $tables = $self->tables_of($schema);
    for my $name (keys %$tables) {
        my $table = $tables->{$name};
        add_hidden($table);
        my $sql = 'SELECT ' . join(', ', map { "IFNULL($_->[2], '~')" } @{ $table->{columns} })
            . " FROM `$schema`." . quoted($name)
            . ($table->{type} eq 'SYSTEM VERSIONED' ? ' FOR SYSTEM_TIME ALL' : '');
        $table->{rows} = {};
        for my $row ($self->{c}->rows($sql)) {
            my @values = map { own_form($table->{columns}[$_][1], $row->[$_]) } 0 .. $#$row;
            $table->{rows}{ image($table->{columns}, \@values) }++;
        }
    }
    return $tables;
}

sub image
{
    my ($columns, $values) = @_;
    return join "\n", map { "$columns->[$_][0]=$values->[$_]" } 0 .. $#$columns;
}

# One form of a value for both sides, from what the server printed.
sub own_form
{
    my ($kind, $hex) = @_;
    return 'null' if $hex eq '~';
    my $text = bytes($hex);
    return $text                      if $kind eq 'number';
    return real('f', $text)           if $kind eq 'float';
    return real('d', $text)           if $kind eq 'double';
    return "[$hex]"                   if $kind eq 'vector';
    return document($text)            if $kind eq 'json';
    return "x'$hex'"                  if $kind eq 'bytes';
    $text =~ s/^(\S+) (\S+)$/$1T$2Z/  if $kind eq 'instant' && $text !~ /^0000/;
    return "'$text'";
}

# Numbers are compared as what they are stored as; their digits, in real_digits.
sub real { return $_[0] . unpack 'H*', pack "$_[0]>", $_[1] }

# JSON without blanks between its tokens; numbers with a point or an exponent
# as doubles, unless their digits are the same already.
sub document
{
    my ($text) = @_;
    my $out = '';
    while ($text =~ /\G\s*("(?:[^"\\]|\\.)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]+)/gcs) {
        my $token = $1;
        $token = real('d', $token) if $token =~ /^-?\d.*[.eE]/;
        $token = '"' . unescape($token) . '"' if $token =~ /^"/;
        $out .= $token;
    }
    return $out;
}

# ---- Weir's side

my $value;
$value = qr/(?:"(?:[^"\\]++|\\.)*+"|\{(?:(??{$value})|[:,])*+\}|\[(?:(??{$value})|,)*+\]|[^\[\]{}:,"]++)/;

# Members of an object, in order: name, text.
sub members
{
    my ($text) = @_;
    my @found;
    while ($text =~ /\G[{,]("(?:[^"\\]++|\\.)*+"):($value)/gc) {
        push @found, [ unescape($1), $2 ];
    }
    return @found;
}

my %escapes = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");

sub unescape
{
    my ($text) = @_;
    $text =~ s/^"(.*)"$/$1/s;
    $text =~ s{\\(?:u([0-9a-fA-F]{4})|(.))}{
        my $c = defined $1 ? chr hex $1 : $escapes{$2} // $2;
        utf8::encode($c);
        $c}ges;
    return $text;
}

sub weirs_form
{
    my ($kind, $text) = @_;
    return $text if $text eq 'null' || $kind eq 'number';
    return real('f', $text) if $kind eq 'float' && length($text =~ s/e.*|\D|^0+//gr) <= 9;
    return real('d', $text) if $kind eq 'double' && $text !~ /"/;
    return '[' . uc(unpack 'H*', pack 'f<*', split /,/, substr $text, 1, -1) . ']'
        if $kind eq 'vector' && $text =~ /^\[/;
    return document($text)  if $kind eq 'json';
    return $text            if $text !~ /^"/;
    return "x'" . uc(unpack 'H*', decode_base64(unescape($text))) . "'" if $kind eq 'bytes';
    return "'" . unescape($text) . "'";
}

# A row event's line: { db, table, gtid, op, before, after }
sub event
{
    my ($line) = @_;
    return undef if $line !~ /^\{"schema":\{"version":"1","type":"row"\},/;
    my %line    = map { @$_ } members($line);
    my %payload = map { @$_ } members($line{payload});
    my %source  = map { @$_ } members($payload{source});
    my %place   = map { @$_ } members($source{position});
    my %event   = (
        db => unescape($source{database}), table => unescape($source{table}),
        gtid => unescape($place{gtid}), op => unescape($payload{operation})
    );
    for my $which (qw(before after)) {
        $event{$which} = [ members($payload{$which}) ] if $payload{$which} ne 'null';
    }
    return \%event;
}

# ---- Steps

# Does a statement; gives what it changed, or nothing: it is no change of rows.
sub step
{
    my ($self, $schema, $sql) = @_;
    my $c = $self->{c};
    if ($sql !~ /^(?:INSERT|UPDATE|DELETE|REPLACE|SELECT NEXT|BEGIN|CREATE (?:OR REPLACE )?TABLE \w+ AS SELECT)/) {
        delete $self->{seen};
        $c->do($sql);
        return;
    }
    my $before = $self->{seen} // $self->snapshot($schema);
    $c->do($sql =~ /^BEGIN/ ? split /; /, $sql : $sql);
    my $gtid  = $self->{db}->last_gtid($c);
    my $after = $self->{seen} = $self->snapshot($schema);
    my %step = (gtid => $gtid, sql => $sql, schema => $schema, tables => {});
    for my $name (keys %$after) {
        my ($had, $has) = ($before->{$name}{rows} // {}, $after->{$name}{rows});
        my %table = (columns => $after->{$name}{columns}, had => $had, has => $has);
        for my $image (keys %{ { %$had, %$has } }) {
            my $more = ($has->{$image} // 0) - ($had->{$image} // 0);
            push @{ $table{ $more > 0 ? 'added' : 'removed' } }, ($image) x abs $more;
        }
        # Of a sequence, and of a table that was made anew, no row is removed.
        $table{removed} = [] if $after->{$name}{type} eq 'SEQUENCE' || $sql =~ /^CREATE/;
        $step{tables}{$name} = \%table if $table{added} || $table{removed};
    }
    return \%step;
}

sub show
{
    my ($text) = @_;
    $text =~ s/\n/, /g;
    $text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    return length $text > 600 ? substr($text, 0, 600) . '...' : $text;
}

# What differs between a step and the events of its transaction, as sentences.
# partial: images are parts of rows (see partial_differences).
sub differences
{
    my ($step, $events, $partial) = @_;
    my (@wrong, %seen);
    for my $event (@$events) {
        my $table = $step->{tables}{ $event->{table} };
        if (!$table || $event->{db} ne $step->{schema}) {
            push @wrong, "made up: $event->{op} in $event->{db}.$event->{table}";
            next;
        }
        my %kind = map { $_->[0] => $_->[1] } @{ $table->{columns} };
        for ([ before => 'removed' ], [ after => 'added' ]) {
            my ($which, $what) = @$_;
            my $columns = $event->{$which} or next;
            my @values = map { weirs_form($kind{ $_->[0] } // 'text', $_->[1]) } @$columns;
            push @{ $seen{ $event->{table} }{$what} }, image($columns, \@values);
        }
    }
    for my $name (sort keys %{ $step->{tables} }) {
        my $table = $step->{tables}{$name};
        push @wrong, map { show("$name: $_") } $partial
            ? partial_differences($table, $seen{$name} // {})
            : image_differences($table, $seen{$name} // {});
    }
    return map { "$_\n  after: " . show($step->{sql}) . " ($step->{gtid})" } @wrong;
}

sub image_differences
{
    my ($want, $have) = @_;
    my @wrong;
    for my $what (qw(removed added)) {
        my %left;
        $left{$_}++ for @{ $have->{$what} // [] };
        my @lost = grep { !$left{$_}-- } @{ $want->{$what} // [] };
        push @wrong, map { "lost of $what: $_" } @lost;
        push @wrong, map { ("made up of $what: $_") x $left{$_} }
            grep { $left{$_} > 0 } sort keys %left;
    }
    return @wrong;
}

sub parts { return map { /^(.*?)=(.*)$/s } split /\n/, $_[0] }

# An image that leaves columns out says nothing wrong: it is part of a row that
# was there then, and of a changed row it has all that changed.
sub partial_differences
{
    my ($want, $have) = @_;
    my @wrong;
    for my $what (qw(removed added)) {
        my ($images, $rows) = ($have->{$what} // [], $want->{$what} // []);
        push @wrong, @$images . ' images for ' . @$rows . " rows $what" if @$images != @$rows;
        for my $image (@$images) {
            my %part = parts($image);
            my @fits = grep {
                my %row = parts($_);
                !grep { ($row{$_} // '') ne $part{$_} } keys %part;
            } @$rows;
            push @wrong, "no such row $what: $image" if !@fits;
        }
    }
    my ($old, $new) = map { @{ $want->{$_} // [] } == 1 ? { parts($want->{$_}[0]) } : undef }
        qw(removed added);
    if ($old && $new) {
        my %part = parts($have->{added}[0] // '');
        push @wrong, map { "what changed is left out: $_" }
            grep { $old->{$_} ne $new->{$_} && !exists $part{$_} } sort keys %$new;
    }
    return @wrong;
}

1;
