# Rows whose names nobody knows any more: the table is parked, with what to type;
# with that the rows put aside, in the relay and those that come have names, through DDL,
# a restart, a crash and a rewind.  What does not fit, or would be a guess, is
# refused.
use Weir;
use JSON::PP;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(cnf => "binlog_row_metadata = NO_LOG");
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.other (i INT PRIMARY KEY, c INT)',
    'CREATE TABLE shop.last (i INT PRIMARY KEY)');
my $begin = $db->gtids;
# `other` is unknown there, and so is what is like it.
$db->do('CREATE TABLE shop.made LIKE shop.other', 'INSERT INTO shop.made VALUES (1, 10)',
    'ALTER TABLE shop.made ADD d INT FIRST', 'INSERT INTO shop.made VALUES (20, 2, 200)',
    'ALTER TABLE shop.made CHANGE d e INT', 'INSERT INTO shop.last VALUES (1)');
my ($source, $dir) = (shop_source($db, qq(start = "gtid:$begin")), $t->dir);
$t->expect_log(qr/shop\.made is parked: /);
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink last { tables = {"shop.last"}  file { root = "$dir/files"  path = "last.jsonl" } }
    sink made { tables = {"shop.made"}  file { root = "$dir/files"  path = "made.jsonl" } }
}
EOT

sub rows
{
    return map { $_->{payload}{after} }
        grep { $_->{schema}{type} eq 'row' }
        map { decode_json($_) } Weir::Server::lines_of("$dir/files/made.jsonl");
}

# All rows so far, in their order.
sub rows_are
{
    my ($what, @want) = @_;
    my @have;
    eval { wait_for($what, 4, sub { @have = rows(); @have >= @want }) };
    is_deeply(\@have, \@want, $what);
    return;
}

sub set
{
    my ($statement, @more) = @_;
    my $file = "$dir/statement.sql";
    open my $out, '>', $file or die;
    print $out $statement;
    close $out;
    return $weir->ctl('schema', 'set', 'shop', 'shop.made', $file, @more);
}

sub refused
{
    my ($pattern, @arguments) = @_;
    $t->expect_log(qr/what was asked is refused/);
    my ($exit, $said) = set(@arguments);
    is($exit, 1, "refused: $arguments[0]");
    like($said, $pattern, '  with its reason');
    return;
}

wait_for('the log is read', 30, sub { -s "$dir/files/last.jsonl" });
my $why = $weir->wait_log(qr/ error .*shop\.made is parked/);
like($why, qr/weirctl schema set shop shop\.made FILE/, 'what to type is said');
my ($version) = $why =~ /version (\d+)/ or diag $why;
my $made = 'CREATE TABLE `made` (`i` int(11) NOT NULL, `c` int(11) DEFAULT NULL, PRIMARY KEY (`i`))'
    . " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n";
refused(qr/if the statement is the table as it was .*--from $version;.*--from now/i, $made);
refused(qr/no CREATE TABLE/, 'DROP TABLE made');
refused(qr/makes shop\.else/, 'CREATE TABLE `else` (i INT)');
refused(qr/not understood/, 'CREATE TABLE made (i FROB)', '--from', $version);
refused(qr/column 2 .c.: .*type/, 'CREATE TABLE made (i INT PRIMARY KEY, c BIGINT)', '--from', $version);
refused(qr/has 2 columns|columns/, 'CREATE TABLE made (i INT PRIMARY KEY)', '--from', $version);
refused(qr/12345/, $made, '--from', 12345);
is(scalar rows(), 0, 'nothing has changed by that');

my ($exit, $said) = set($made, '--from', $version);
is($exit, 0, 'given') or diag $said;
like($said, qr/shop\.made is defined from version $version on .*followed through 2 statements/, 'its answer');
ok(eval { wait_for('resumed', 20, sub {
    ($exit, $said) = $weir->ctl('park', 'resume', 'made', 'shop.made'); $exit == 0 }) },
    'and the table is resumed') or diag $said;
my @want = ({ i => 1, c => 10 }, { d => 20, i => 2, c => 200 });
rows_are('the rows in the relay', @want);
($exit, $said) = $weir->ctl('schema', 'show', 'shop', 'shop.made');
like($said, qr/given by weirctl schema set/, 'schema show says so');
like($said, qr/^ +e +int/m, 'and has the definition for what comes');

# ---- What comes

$weir->crash;
$weir->start;
$db->do('INSERT INTO shop.made VALUES (30, 3, 300)');
push @want, { e => 30, i => 3, c => 300 };
rows_are('after a crash, the names that were given and followed', @want);
$db->do('ALTER TABLE shop.made DROP COLUMN e', 'INSERT INTO shop.made VALUES (4, 400)');
push @want, { i => 4, c => 400 };
rows_are('DDL is followed from there', @want);
$weir->stop;
$weir->start;
$db->do('INSERT INTO shop.made VALUES (5, 500)');
push @want, { i => 5, c => 500 };
rows_are('after a restart', @want);

refused(qr/its names are known/, $made);
($exit, $said) = set($made =~ s/`c`/`cc`/r, '--from', 'now');
is($exit, 0, 'said otherwise, from now on') or diag $said;
$db->do('INSERT INTO shop.made VALUES (6, 600)');
push @want, { i => 6, cc => 600 };
rows_are('a name as it was given', @want);

# ---- Again

($exit, $said) = $weir->ctl('rewind', 'made', '--to', 'earliest', '--yes');
is($exit, 0, 'rewind') or diag $said;
rows_are('the same rows again', @want, @want);
$t->done;
