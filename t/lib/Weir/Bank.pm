# Bank.pm - a seeded random workload whose balances always sum up to the same,
# on tables that depend on each other.  The ledger has a row for each transaction;
# the journal has no key, so who writes there waits in line: not all do.
package Weir::Bank;
use strict;
use warnings;
use POSIX ();

my @tables = split /\n(?=CREATE)/, <<'EOT';
CREATE DATABASE shop CHARACTER SET utf8mb4
CREATE TABLE shop.accounts (id INT PRIMARY KEY, owner VARCHAR(40) NOT NULL UNIQUE,
    email VARCHAR(40) UNIQUE, balance INT NOT NULL)
CREATE TABLE shop.entries (id INT AUTO_INCREMENT PRIMARY KEY, account INT NOT NULL,
    amount INT, FOREIGN KEY (account) REFERENCES accounts (id)
    ON DELETE CASCADE ON UPDATE CASCADE)
CREATE TABLE shop.notes (entry INT, text VARCHAR(20),
    FOREIGN KEY (entry) REFERENCES entries (id) ON DELETE SET NULL)
CREATE TABLE shop.tree (id INT PRIMARY KEY, parent INT,
    FOREIGN KEY (parent) REFERENCES tree (id))
CREATE TABLE shop.hot (id INT PRIMARY KEY, n INT, what VARCHAR(40))
CREATE TABLE shop.tags (name VARCHAR(20), place INT, rate FLOAT, PRIMARY KEY (name, place))
CREATE TABLE shop.ledger (n INT, what VARCHAR(20), PRIMARY KEY (n, what))
CREATE TABLE shop.journal (n INT, what VARCHAR(20))
EOT

sub new
{
    my ($class, $db, %option) = @_;
    return bless { db => $db, n => 0, accounts => 30, nodes => 1,
        pause_ms => $option{pause_ms} // 0 }, $class;
}

sub create_tables { my ($self) = @_; $self->{db}->do(@tables); return $self }

sub commit
{
    my ($self, @sql) = @_;
    my $n = ++$self->{n};
    push @sql, "INSERT INTO shop.journal VALUES ($n, 'bank')" if $n % 4 == 0;
    $self->{db}->do('BEGIN', @sql, "INSERT INTO shop.ledger VALUES ($n, 'bank')", 'COMMIT');
    return $self;
}

sub open_accounts
{
    my ($self) = @_;
    return $self->commit('INSERT INTO shop.accounts VALUES ' . join(', ', map {
        "($_, 'owner $_', " . ($_ % 3 ? "'$_\@example.net'" : 'NULL') . ', 1000)'
    } 1 .. $self->{accounts}), 'INSERT INTO shop.hot VALUES (1, 0, 0), (2, 0, 0)',
        'INSERT INTO shop.tree VALUES (1, NULL)');
}

sub account { my ($self) = @_; return 1 + int rand $self->{accounts} }

sub transfer
{
    my ($self) = @_;
    my ($from, $to, $n) = ($self->account, $self->account, int rand 100);
    return map {
        ("UPDATE shop.accounts SET balance = balance + ($_->[1]) WHERE id = $_->[0]",
            "INSERT INTO shop.entries (account, amount) SELECT id, $_->[1] FROM shop.accounts WHERE id = $_->[0]")
    } [ $from, -$n ], [ $to, $n ];
}

# Two unique values change places.
sub swap
{
    my ($self) = @_;
    my ($a, $b) = ($self->account, $self->account);
    return (
        "SELECT \@a := owner, \@e := email FROM shop.accounts WHERE id = $a",
        "SELECT \@b := owner, \@f := email FROM shop.accounts WHERE id = $b",
        "UPDATE shop.accounts SET owner = CONCAT('-', owner), email = NULL WHERE id = $a",
        "UPDATE IGNORE shop.accounts SET owner = \@a, email = \@e WHERE id = $b",
        "UPDATE IGNORE shop.accounts SET owner = \@b, email = \@f WHERE id = $a",
    );
}

# Gone with all that hangs on it, and there again with what it had.
sub replace_account
{
    my ($self) = @_;
    my $id = $self->account;
    return (
        "SELECT \@o := owner, \@m := balance FROM shop.accounts WHERE id = $id",
        "DELETE FROM shop.accounts WHERE id = $id",
        "INSERT INTO shop.accounts SELECT $id, \@o, NULL, \@m FROM DUAL WHERE \@o IS NOT NULL",
        'SET @o = NULL',
    );
}

sub move_account
{
    my ($self) = @_;
    my ($id, $to) = ($self->account, 1000 + int rand 50);
    return ("UPDATE IGNORE shop.accounts SET id = $to WHERE id = $id",
        "UPDATE IGNORE shop.accounts SET id = $id WHERE id = $to");
}

sub tags
{
    my ($self) = @_;
    my $name = 'tag' . int rand 4;
    return (
        "INSERT IGNORE INTO shop.tags VALUES ('$name', " . int(rand 6) . ', ' . rand() . ')',
        "UPDATE IGNORE shop.tags SET place = place + 1 WHERE name = '$name' ORDER BY place DESC",
        "DELETE FROM shop.tags WHERE place > 6",
        "UPDATE IGNORE shop.tags SET name = UPPER(name) WHERE name = '$name' LIMIT 2",
    );
}

sub tree
{
    my ($self) = @_;
    my $id = ++$self->{nodes};
    return ("INSERT INTO shop.tree SELECT $id, MAX(id) FROM shop.tree",
        'DELETE FROM shop.tree WHERE id = ' . ($id - 5) . ' AND id > 1 AND id NOT IN (SELECT parent FROM (SELECT parent FROM shop.tree WHERE parent IS NOT NULL) AS p)',
        'UPDATE shop.tree SET parent = 1 WHERE id > 1 AND id = ' . ($id - 3));
}

# More rows than a small batch has; what it meets is somewhere in the middle.
sub many
{
    my $from = 5000 + int rand 300;
    return (
        'INSERT IGNORE INTO shop.hot VALUES ' . join(', ', map { "($_, 0, 'many')" } $from .. $from + 70),
        "UPDATE shop.hot SET n = n + 1 WHERE id BETWEEN $from AND " . ($from + 40),
        'DELETE FROM shop.hot WHERE id BETWEEN ' . ($from + 30) . ' AND ' . ($from + 60),
    );
}

sub one
{
    my ($self) = @_;
    my $r = rand;
    return many() if $r > 0.97;
    return $self->transfer if $r < 0.4;
    return $self->swap if $r < 0.55;
    return $self->replace_account if $r < 0.6;
    return $self->move_account if $r < 0.65;
    return $self->tags if $r < 0.75;
    return $self->tree if $r < 0.82;
    return "INSERT INTO shop.notes SELECT MAX(id), 'note' FROM shop.entries" if $r < 0.88;
    return 'DELETE FROM shop.notes LIMIT 2' if $r < 0.9;
    return map { "UPDATE shop.hot SET n = n + 1, what = " . int(rand 1000) . ' WHERE id = ' . (1 + int rand 2) } 1 .. 4;
}

sub run
{
    my ($self, $count) = @_;
    for (1 .. $count) {
        my @sql = map { $self->one } 1 .. 1 + int rand 3;
        if (rand() < 0.1) {
            $self->{db}->do('BEGIN', @sql, 'ROLLBACK');
        } else {
            $self->commit(@sql);
        }
    }
    return $self;
}

# The same in a child of this process until stop().
sub start
{
    my ($self) = @_;
    pipe(my $stopped, my $stop) or die "pipe: $!\n";
    pipe(my $done, my $write) or die "pipe: $!\n";
    my $seed = int rand 1e9;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $_ for $stop, $done, $self->{db}{test}{guard};
        srand $seed;
        my $set = '';
        vec($set, fileno $stopped, 1) = 1;
        my $ok = eval {
            $self->{db} = $self->{db}->client;
            $self->run(1) until select(my $ready = $set, undef, undef, $self->{pause_ms} / 1000);
            1;
        };
        print STDERR "bank: $@" if !$ok;
        syswrite $write, "$self->{n} $self->{nodes}\n" if $ok;
        POSIX::_exit(0);
    }
    $self->{child} = [ $pid, $stop, $done ];
    return $self;
}

sub stop
{
    my ($self) = @_;
    my ($pid, $stop, $done) = @{ delete $self->{child} };
    close $stop;
    my $said = readline $done;
    waitpid $pid, 0;
    die "the bank failed\n" if !defined $said;
    @$self{qw(n nodes)} = split ' ', $said;
    return $self;
}

sub big_transaction
{
    my ($self, $rows) = @_;
    return $self->commit((map { my $from = $_ * 100; 'INSERT INTO shop.hot VALUES '
        . join(', ', map { '(' . ($from + $_) . ", $_, 'big')" } 1 .. 100) } 1 .. $rows / 100),
        $self->transfer, 'UPDATE shop.hot SET n = n + 1 WHERE id > 100', 'DELETE FROM shop.hot WHERE id > 1100');
}

# Reads on and on in a child; what comes back ends it: how many sums, and a wrong
# one if there was one.
sub reader
{
    my ($self, $target, @schemas) = @_;
    my $want = 1000 * $self->{accounts};
    pipe(my $stop_read, my $stop) or die;
    pipe(my $read, my $write) or die;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $stop;
        close $read;
        close $target->{test}{guard};
        my ($n, $wrong, $set, $client) = (0, '', '');
        vec($set, fileno $stop_read, 1) = 1;
        until ($wrong || select(my $ready = $set, undef, undef, 0.002)) {
            my $schema = $schemas[ $n % @schemas ];
            my $sum = eval {    # it may be killed, and come back
                $client //= $target->client;
                $client->value("SELECT IFNULL(SUM(balance), $want) FROM $schema.accounts");
            };
            undef $client if !defined $sum;
            $n++ if defined $sum;
            $wrong = "$schema: $sum" if defined $sum && $sum != $want;
        }
        syswrite $write, "$n $wrong\n";
        POSIX::_exit(0);
    }
    close $stop_read;
    close $write;
    return sub {
        close $stop;
        my ($n, $wrong) = readline($read) =~ /^(\d+) (.*)/;
        waitpid $pid, 0;
        return ($n, $wrong);
    };
}

1;
