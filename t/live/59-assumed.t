# assume_current_schema: names are the server's of now, in a backlog too, without
# being proved; a reload changes for which tables.
use Weir;
use JSON::PP;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database(cnf => 'binlog_row_metadata = NO_LOG');
$t->make_dir('files');
$db->make_weir_user;
$db->do('CREATE DATABASE shop', 'CREATE TABLE shop.other (i INT PRIMARY KEY, c INT)',
    'CREATE TABLE shop.late (i INT PRIMARY KEY, c INT)');
my $begin = $db->gtids;
# A proof would have to cross these.
$db->do('CREATE TABLE shop.made LIKE shop.other', 'INSERT INTO shop.made VALUES (1, 10)',
    'ALTER TABLE shop.made CHANGE c d INT', 'INSERT INTO shop.made VALUES (2, 20)');
my ($source, $dir) = (shop_source($db, qq(start = "gtid:$begin")), $t->dir);

sub config
{
    my ($tables) = @_;
    return <<"EOT";
pipeline shop {
    $source
    relay { assume_current_schema = {$tables} }
    sink all { tables = {"shop.*"}  file { root = "$dir/files"  path = "all.jsonl" } }
}
EOT
}

sub rows_are
{
    my ($what, @want) = @_;
    my @have;
    eval {
        wait_for($what, 30, sub {
            @have = map { $_->{payload}{after} }
                grep { $_->{schema}{type} eq 'row' }
                map { decode_json($_) } Weir::Server::lines_of("$dir/files/all.jsonl");
            return @have >= @want;
        });
    };
    is_deeply(\@have, \@want, $what);
    return;
}

my $weir = $t->weir(config => config('"shop.made"'))->start;
my @want = ({ i => 1, d => 10 }, { i => 2, d => 20 });
rows_are('named as the server has them now', @want);
my $said = sub { $weir->log_count(qr/shop\.$_[0]: columns are named as the server has them now/) };
cmp_ok($said->('made'), '>=', 1, 'and that is said');

# Changed by a reload, one way and the other.
my ($exit, $text) = $weir->reload(config('"shop.late"'));
is($exit, 0, 'reload') or diag $text;
my $before = $said->('made');
$db->do('INSERT INTO shop.late VALUES (3, 30)', 'CREATE TABLE shop.more LIKE shop.other',
    'INSERT INTO shop.more VALUES (4, 40)');
push @want, { i => 3, c => 30 }, { i => 4, c => 40 };
rows_are('after the reload', @want);
is($said->('late'), 1, 'a table that it added is assumed');
is($said->('more'), 0, 'one that it does not name is proved');
($exit, $text) = $weir->reload(config('"shop.nothing"'));
is($exit, 0, 'reload') or diag $text;
$db->do('CREATE TABLE shop.late2 LIKE shop.late', 'DROP TABLE shop.late', 'RENAME TABLE shop.late2 TO shop.late',
    'INSERT INTO shop.late VALUES (5, 50)');
push @want, { i => 5, c => 50 };
rows_are('without it', @want);
is($said->('late') + $said->('made'), 1 + $before, 'nothing is assumed any more');
$t->done;
