# Load.pm - a seeded random workload on a database `shop`: inserts, updates,
# deletes, changes of keys, roll-backs, savepoints, transactions over several
# tables, DDL in between.  Runs in this process for a number of transactions,
# or in a child until it is stopped.
#
#   users    one-column key; a column of nearly every type
#   orders   two-column key
#   ledger   no key; each committed transaction adds one row with the next
#            number, so that a loss, a repeat or a wrong order shows
package Weir::Load;
use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(sleep);

my $schema = <<'EOT';
CREATE DATABASE shop CHARACTER SET utf8mb4
CREATE TABLE shop.users (
    id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    email VARCHAR(100) CHARACTER SET latin1,
    status ENUM('new', 'active', 'closed') DEFAULT 'new',
    flags SET('a', 'b', 'c', 'd'),
    tiny TINYINT, small SMALLINT UNSIGNED, medium MEDIUMINT, plain INT UNSIGNED,
    balance DECIMAL(20,4), ratio DOUBLE, rough FLOAT,
    born DATE, woken TIME(2), met DATETIME(6), seen TIMESTAMP(3) NULL,
    y YEAR, note TEXT, photo BLOB, tag BINARY(8), raw VARBINARY(40), bits BIT(12)
)
CREATE TABLE shop.orders (
    number VARCHAR(20) NOT NULL, line INT NOT NULL, amount DECIMAL(12,2),
    text VARCHAR(200), PRIMARY KEY (number, line)
)
CREATE TABLE shop.ledger (n BIGINT NOT NULL, what VARCHAR(60))
EOT

sub new
{
    my ($class, $db, %option) = @_;
    my $self = bless {
        db       => $db,
        n        => 0,
        next_id  => 1,
        columns  => 0,
        ddl      => $option{ddl} // 1,
        pause_ms => $option{pause_ms} // 0,
    }, $class;
    return $self;
}

sub create_tables
{
    my ($self) = @_;
    my @statements = split /\n(?=CREATE)/, $schema;
    $self->{db}->do(@statements);
    return $self;
}

sub pick { return $_[ int rand @_ ] }

my @words = ('weir', "O'Brien", 'a\\b', "tab\there", "zwei\nZeilen",
    "\xc3\xa4\xc3\xb6\xc3\xbc", "\xf0\x9f\x90\x9f fish", '', '{id}', '"quoted"',
    ' space ', '%s%n', "\xe6\xb0\xb4");

sub quote
{
    my ($text) = @_;
    $text =~ s/\\/\\\\/g;
    $text =~ s/'/''/g;
    return "'$text'";
}

sub words { return quote(join ' ', map { pick(@words) } 1 .. 1 + int rand $_[0]) }

sub hex_bytes
{
    my ($most) = @_;
    my $n = 1 + int rand $most;
    return "x'" . join('', map { sprintf '%02x', int rand 256 } 1 .. $n) . "'";
}

# A value for each column but the key, now and then NULL.
my %value = (
    name    => sub { words(3) },
    email   => sub { quote(pick("caf\xc3\xa9", "\xc3\xa5sa", 'x') . '@example.net') },
    status  => sub { pick("'new'", "'active'", "'closed'") },
    flags   => sub { pick("''", "'a'", "'b,d'", "'a,b,c,d'") },
    tiny    => sub { pick(-128, 127, 0, int rand 100) },
    small   => sub { pick(65535, 0, int rand 60000) },
    medium  => sub { pick(-8388608, 8388607, -1) },
    plain   => sub { pick(4294967295, 0, int rand 1e9) },
    balance => sub { pick('-9999999999999999.9999', '0', '0.0001', rand 1e6) },
    ratio   => sub { pick('1e300', '-2.5e-300', rand 1, '0.1', 3) },
    rough   => sub { pick('0.1', '1e30', '-3.5', '16777216') },
    born    => sub { pick("'1000-01-01'", "'9999-12-31'", "'2024-02-29'") },
    woken   => sub { pick("'-838:59:59'", "'838:59:59'", "'00:00:00.25'", "'-00:00:01.5'") },
    met     => sub { pick("'2026-01-02 03:04:05.000006'", "'1000-01-01'", "'9999-12-31 23:59:59.999999'") },
    seen    => sub { pick("'2030-05-06 07:08:09.010'", "'1971-01-01'") },
    y       => sub { pick(1901, 2155, 2000) },
    note    => sub { words(20) },
    photo   => sub { hex_bytes(300) },
    tag     => sub { hex_bytes(8) },
    raw     => sub { hex_bytes(40) },
    bits    => sub { pick("b'101010101010'", "b'0'", 4095) },
);

sub some_value
{
    my ($column) = @_;
    return 'NULL' if $column ne 'name' && rand() < 0.1;
    return $value{$column}->();
}

sub user_id { my ($self) = @_; return 1 + int rand $self->{next_id} }

sub insert_user
{
    my ($self) = @_;
    my @columns = grep { $_ eq 'name' || rand() < 0.8 } sort keys %value;
    my $id = rand() < 0.02
        ? '18446744073709' . sprintf '%06d', int rand 551615
        : $self->{next_id}++;
    return "INSERT IGNORE INTO shop.users (id, " . join(', ', @columns)
        . ") VALUES ($id, " . join(', ', map { some_value($_) } @columns) . ')';
}

sub update_user
{
    my ($self) = @_;
    my @columns = grep { rand() < 0.2 } sort keys %value;
    @columns = ('note') if !@columns;
    my $where = rand() < 0.1
        ? 'id BETWEEN ' . $self->user_id . ' AND ' . $self->user_id
        : 'id = ' . $self->user_id;
    return 'UPDATE shop.users SET '
        . join(', ', map { "$_ = " . some_value($_) } @columns)
        . " WHERE $where LIMIT 20";
}

sub delete_user { my ($self) = @_; return 'DELETE FROM shop.users WHERE id = ' . $self->user_id }

sub move_user
{
    my ($self) = @_;
    return 'UPDATE shop.users SET id = ' . $self->{next_id}++
        . ', note = ' . words(2) . ' WHERE id = ' . $self->user_id;
}

sub order_statement
{
    my $number = quote(sprintf 'A-%04d', int rand 300);
    my $line   = 1 + int rand 5;
    return pick(
        "REPLACE INTO shop.orders VALUES ($number, $line, "
            . int(rand 1e6) / 100 . ', ' . words(4) . ')',
        "INSERT IGNORE INTO shop.orders VALUES ($number, $line, NULL, NULL)",
        "UPDATE shop.orders SET amount = amount + 0.01 WHERE number = $number",
        "UPDATE IGNORE shop.orders SET line = line + 1 WHERE number = $number"
            . ' ORDER BY line DESC',
        "DELETE FROM shop.orders WHERE number = $number AND line = $line",
    );
}

sub statement
{
    my ($self) = @_;
    my $r = rand;
    return $self->insert_user    if $r < 0.35;
    return $self->update_user    if $r < 0.6;
    return $self->delete_user    if $r < 0.7;
    return $self->move_user      if $r < 0.78;
    return order_statement();
}

# Statements of one transaction, and whether it commits.
sub transaction
{
    my ($self) = @_;
    my @sql = ('BEGIN');
    for (1 .. 1 + int rand 6) {
        push @sql, $self->statement;
        if (rand() < 0.08) {
            push @sql, 'SAVEPOINT s', $self->statement,
                rand() < 0.7 ? 'ROLLBACK TO SAVEPOINT s' : 'RELEASE SAVEPOINT s';
        }
    }
    return (@sql, 'ROLLBACK') if rand() < 0.1;
    my $n = ++$self->{n};
    return (@sql, "INSERT INTO shop.ledger VALUES ($n, 'load')", 'COMMIT');
}

sub ddl_statements
{
    my ($self) = @_;
    my $k = ++$self->{columns};
    return pick(
        [   "ALTER TABLE shop.users ADD COLUMN extra$k INT,"
                . ($self->{db}->columns_come_and_go
                    ? ' DROP COLUMN IF EXISTS extra' . abs($k - 20) . ',' : '')
                . ' ALGORITHM=COPY'
        ],
        [   "ALTER TABLE shop.users ADD COLUMN late$k VARCHAR(9) AFTER id",
            'UPDATE shop.users SET note = 1 LIMIT 3',
            "ALTER TABLE shop.users DROP COLUMN late$k, ALGORITHM=COPY"
        ],
        [ "ALTER TABLE shop.orders ADD INDEX by_amount$k (amount)" ],
        [   "CREATE TABLE shop.other$k (i INT PRIMARY KEY)",
            "INSERT INTO shop.other$k VALUES (1), (2)",
            "DROP TABLE shop.other$k"
        ],
        [ 'ANALYZE TABLE shop.users' ],
    );
}

# `count` transactions on one connection; dies on an error.
sub run
{
    my ($self, $count) = @_;
    my $client = $self->{db}->client;
    for (1 .. $count) {
        $client->do($self->transaction);
        $client->do(@{ $self->ddl_statements })
            if $self->{ddl} && rand() < 0.005;
        sleep $self->{pause_ms} / 1000 if $self->{pause_ms};
    }
    return $self;
}

# The same in a child of this process until stop(): a server that goes away is
# waited for, and whether the open transaction was committed is looked up.
sub start
{
    my ($self) = @_;
    pipe(my $read, my $write) or die "pipe: $!\n";
    my $file = $self->{db}{test}->dir . '/load.done';
    unlink $file;
    my $seed = int rand 1e9;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $write;
        close $self->{db}{test}{guard};
        srand $seed;
        my $flags = '';
        my $stop = sub {
            my $set = '';
            vec($set, fileno $read, 1) = 1;
            return select($set, undef, undef, 0) > 0;
        };
        my $ok = eval { $self->run_until($stop); 1 };
        print STDERR "load: $@" if !$ok;
        if (open my $out, '>', $file) {
            print $out "$self->{n} $self->{next_id} $self->{columns}\n";
            close $out;
        }
        POSIX::_exit($ok ? 0 : 1);
    }
    close $read;
    @$self{qw(child stop file)} = ($pid, $write, $file);
    return $self;
}

sub run_until
{
    my ($self, $stop) = @_;
    my $client;
    while (!$stop->()) {
        if (!$client) {
            $client = eval { $self->{db}->client } or next;
            $self->{n} = $client->value('SELECT IFNULL(MAX(n), 0) FROM shop.ledger');
        }
        my @sql = $self->transaction;
        push @sql, @{ $self->ddl_statements } if $self->{ddl} && rand() < 0.003;
        for my $sql (@sql) {
            my $error = $client->try($sql);
            next if $error eq '';
            die "$error\n  in: $sql" if $error =~ /^ERROR 1/ && $error !~ /^ERROR 1(?:053|927|317|205|213) /;
            undef $client;
            sleep 0.05;
            last;
        }
        sleep $self->{pause_ms} / 1000 if $self->{pause_ms};
    }
    return;
}

# Ends the child; the number of committed transactions.
sub stop
{
    my ($self) = @_;
    close $self->{stop};
    waitpid $self->{child}, 0;
    die "the load failed\n" if $?;
    open my $in, '<', $self->{file} or die "$self->{file}: $!\n";
    @$self{qw(n next_id columns)} = split ' ', scalar <$in>;
    return $self->{n};
}

1;
