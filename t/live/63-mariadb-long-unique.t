# MariaDB's unique indexes over what is too long for an index: their hashes are
# columns of the log only, which are nobody's, with names in the log and without.
use Weir;
use Weir::Shop;

my $t = Weir->new;
my $db = $t->mariadb(cnf => 'binlog_row_metadata = NO_LOG');
$db->make_weir_user;
$t->make_dir('files');
my $dir = $t->dir;

sub rows_of
{
    my ($name) = @_;
    return map { /"operation":"(\w+)","before":(.*),"after":(.*),"metadata"/ && $1 ne 'ddl' ? "$1 $2 $3" : () }
        Weir::Server::lines_of("$dir/files/$name.jsonl");
}

for my $metadata (qw(NO_LOG FULL)) {
    my $name = lc $metadata;
    my $source = shop_source($db, 'start = now');
    $db->do("SET GLOBAL binlog_row_metadata = $metadata");
    my $weir = $t->weir(config => <<"EOT")->start;
pipeline $name {
    $source
    sink all { tables = {"$name.*"}  file { root = "$dir/files"  path = "$name.jsonl" } }
}
EOT
    $db->do("CREATE DATABASE $name", "USE $name",
        'CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b BLOB, UNIQUE (a), UNIQUE (b, id))',
        "INSERT INTO t VALUES (1, 'x', 'y'), (2, NULL, NULL)", "UPDATE t SET a = 'z' WHERE id = 1",
        'DELETE FROM t WHERE id = 2', 'ALTER TABLE t ADD c BIGINT UNSIGNED NOT NULL',
        "INSERT INTO t VALUES (3, 'v', 'w', 7)");
    wait_for('four changes', 30, sub { rows_of($name) >= 5 });
    $weir->crash;
    $db->do('ALTER TABLE t DROP INDEX a, DROP INDEX b', "INSERT INTO t VALUES (4, 'v', 'w', 8)",
        'CREATE TABLE u (id INT PRIMARY KEY, l VARCHAR(3000), UNIQUE (l), DB_ROW_HASH_1 BIGINT)',
        "INSERT INTO u VALUES (5, 'k', 9)");
    $weir->start;
    wait_for('six', 30, sub { rows_of($name) >= 7 });
    is_deeply([ rows_of($name) ], [
            'insert null {"id":1,"a":"x","b":"eQ=="}', 'insert null {"id":2,"a":null,"b":null}',
            'update {"id":1,"a":"x","b":"eQ=="} {"id":1,"a":"z","b":"eQ=="}',
            'delete {"id":2,"a":null,"b":null} null', 'insert null {"id":3,"a":"v","b":"dw==","c":7}',
            'insert null {"id":4,"a":"v","b":"dw==","c":8}', 'insert null {"id":5,"l":"k","DB_ROW_HASH_1":9}' ],
        "$metadata: the table's own columns, and no others");
    is($weir->log_count(qr/unknown|parked/), 0, 'whose names are known');
    $weir->stop;
}
$t->done;
