# System versioning: two columns that no statement names.  Statements on such
# tables are not followed, but the server is asked.
use Weir;
use Weir::Shop;
my $t  = Weir->new;
my $db = $t->mariadb(cnf => 'binlog_row_metadata = NO_LOG');
$db->make_weir_user;
$t->make_dir('files');
my $dir    = $t->dir;
my $source = shop_source($db, 'start = now');
$db->do('CREATE DATABASE shop', 'USE shop');
my $weir = $t->weir(config => <<"EOT")->start;
pipeline shop {
    $source
    sink all { file { root = "$dir/files"  path = "all.jsonl" } }
}
EOT
sub text { return join "\n", Weir::Server::lines_of("$dir/files/all.jsonl") }
my $k = 0;
for my $sql (
    'CREATE TABLE t (a INT PRIMARY KEY, b INT) WITH SYSTEM VERSIONING',
    'SET STATEMENT system_versioning_alter_history=KEEP FOR ALTER TABLE t ADD c TIMESTAMP(6) NULL',
    'SET STATEMENT system_versioning_alter_history=KEEP FOR ALTER TABLE t DROP c, ADD d INT FIRST',
    'CREATE TABLE v (a INT PRIMARY KEY, b INT, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START,'
        . ' e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING',
    'SET STATEMENT system_versioning_alter_history=KEEP FOR ALTER TABLE v ADD c TIMESTAMP(6) NULL',
    'CREATE TABLE w (a INT PRIMARY KEY, b INT)',
    'ALTER TABLE w ADD SYSTEM VERSIONING', 'CREATE TABLE x LIKE w',
    'ALTER TABLE w DROP SYSTEM VERSIONING', 'ALTER TABLE w ADD c INT',
    )
{
    my ($table) = $sql =~ /TABLE (\w+)/;
    $db->do($sql, "INSERT INTO $table (a, b) VALUES (" . ++$k . ", 77$k)");
    wait_for($sql, 30, sub { text() =~ /"a":$k,"b":77$k/ });
    my ($row) = text() =~ /"after":\{([^}]*"a":$k,"b":77$k[^}]*)\}/;
    my @names = map { $_->[0] } $db->rows('SELECT COLUMN_NAME FROM'
            . " information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND"
            . " TABLE_NAME = '$table' ORDER BY ORDINAL_POSITION");
    push @names, 'row_start', 'row_end' if $sql =~ /VERSIONING$|KEEP|LIKE/ && $sql !~ /DROP SYS|TABLE v/;
    is(join(' ', $row =~ /"(\w+)":/g), "@names", $sql);
}
unlike(join("\n", $weir->log_lines), qr/unknown/, 'nothing was unknown');
$t->done;
