# Rows that were rolled back to a savepoint never come, be they in the log or not:
# they are where a table without transactions was changed on the way, or a
# temporary one was made.  Savepoints within each other, of one name, released;
# XA; DDL between; a kill while the transaction is read again.
use Weir;
use Weir::Shop;

my $t   = Weir->new;
my $db  = $t->mariadb;
my $dir = $t->dir;
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.t (i INT PRIMARY KEY, what VARCHAR(4000))',
    'CREATE TABLE shop.m (i INT PRIMARY KEY) ENGINE=MyISAM',
    'CREATE TABLE shop.w (i INT PRIMARY KEY)',
    'CREATE TRIGGER shop.g AFTER INSERT ON shop.w FOR EACH ROW INSERT INTO shop.m VALUES (NEW.i + 100)');
my $source = shop_source($db);
my $weir   = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    relay { size = 64m  segment = 1m }
    transform less { columns { drop = {"*.what"} } }
    sink lines { file { root = "$dir/files"  path = "{table}.jsonl"  format = row } }
}
EOT
$t->expect_log(qr/signal 9/, qr/the last line \d+ more/);
my (%want, $i);

# Statements in one transaction; `+` a row that stays, `-` one that does not, `m`
# one of the table without transactions.
sub txn
{
    my (@what) = @_;
    my @sql = ('BEGIN');
    for my $what (@what) {
        $i++;
        push @sql, $what eq 'm' ? "INSERT INTO shop.m VALUES ($i)"
            : $what =~ /^[+-]$/ ? "INSERT INTO shop.t VALUES ($i, 'x')" : $what;
        push @{ $want{t} }, $i if $what eq '+';
        push @{ $want{m} }, $i if $what eq 'm';
    }
    push @sql, 'COMMIT' if $what[-1] ne 'ROLLBACK';
    $db->do(@sql);
    return;
}

sub numbers
{
    my ($table) = @_;
    return map { /^\{"i":(\d+)/ ? $1 : "?$_" } Weir::Server::lines_of("$dir/files/$table.jsonl");
}

sub all_there
{
    my ($what) = @_;
    txn('+');
    for my $table (sort keys %want) {
        my @want = @{ $want{$table} };
        eval { wait_for($what, 30, sub { my @have = numbers($table); @have >= @want }) };
        is(join(' ', numbers($table)), "@want", "$what: $table");
    }
    return;
}
txn('+', 'SAVEPOINT a', '-', 'ROLLBACK TO a', '+');
all_there('nothing of it in the log');
txn('+', 'SAVEPOINT a', 'm', '-', 'ROLLBACK TO a', '+');
all_there('beside a table without transactions');
txn('+', 'SAVEPOINT a', 'm', '-', 'SAVEPOINT b', '-', 'ROLLBACK TO a', '+');
all_there('within each other');
txn('+', 'SAVEPOINT a', 'm', '-', 'SAVEPOINT b', 'ROLLBACK TO a', '+');
all_there('the inner one without rows');
txn('+', 'SAVEPOINT a', '+', 'SAVEPOINT A', 'm', '-', 'ROLLBACK TO a', '+');
all_there('two of one name');
txn('m', 'SAVEPOINT a', '+', 'SAVEPOINT b', '-', 'ROLLBACK TO b', '+', 'RELEASE SAVEPOINT a', '+');
all_there('released');
txn('m', '+', 'SAVEPOINT a', '-', '-', 'ROLLBACK TO a', '-', 'ROLLBACK TO a', '+', 'SAVEPOINT b', '-', 'ROLLBACK TO b');
all_there('several times');
txn('+', 'SAVEPOINT a', 'CREATE TEMPORARY TABLE shop.tmp (i INT)', '-', 'ROLLBACK TO a', '+');
all_there('beside a temporary table');
txn('m', '+', 'SAVEPOINT a', '-', 'ROLLBACK');
pop @{ $want{t} };
all_there('all of it');
$db->do('BEGIN', 'SAVEPOINT a', 'INSERT INTO shop.w VALUES (1)', 'ROLLBACK TO a', 'INSERT INTO shop.t VALUES (' . ++$i . ", '')", 'COMMIT');
push @{ $want{m} }, 101;
push @{ $want{t} }, $i;
all_there('by a trigger');
ok(!-e "$dir/files/w.jsonl", 'nothing of the table with the trigger');
$db->do("XA START 'x'", 'INSERT INTO shop.t VALUES (' . ($i + 1) . ", '')", 'SAVEPOINT a',
    'CREATE TEMPORARY TABLE shop.tmp2 (i INT)', 'INSERT INTO shop.t VALUES (' . ($i + 2) . ", '')",
    'ROLLBACK TO a', "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'");
push @{ $want{t} }, $i + 1;
$i += 2;
all_there('XA');
txn('+', 'ALTER TABLE shop.t ADD COLUMN k INT', "INSERT INTO shop.t VALUES (1000000, '', 1)");
push @{ $want{t} }, 1_000_000;
$db->do('ALTER TABLE shop.t DROP COLUMN k');
all_there('DDL between');

# Larger than a segment, and killed while it is read.
$db->do('BEGIN', 'INSERT INTO shop.m VALUES (50000)',
    "INSERT INTO shop.t SELECT seq, REPEAT('x', 4000) FROM shop.seq_100001_to_101000", 'SAVEPOINT a',
    "INSERT INTO shop.t SELECT seq, REPEAT('x', 4000) FROM shop.seq_200001_to_201000", 'ROLLBACK TO a',
    "INSERT INTO shop.t SELECT seq, REPEAT('x', 4000) FROM shop.seq_300001_to_301000", 'COMMIT');
$weir->crash_worker('source shop') for 1 .. 3;
push @{ $want{m} }, 50000;
push @{ $want{t} }, 100001 .. 101000, 300001 .. 301000;
all_there('a large one, killed');
$t->done;
