# The source modules by themselves, in srchost: streaming, rotation, starts,
# refusals, reconnects and collisions against a private MariaDB; files of the
# same server; and that a stop is quick.
use Weir;
use Weir::Srchost;
use File::Copy qw(copy);
use POSIX ();

my $t  = Weir->new;
my $db = $t->mariadb(cnf => "binlog_row_metadata = NO_LOG\n");
my $mysql = Weir::Srchost->new($t, 'source_mysql');
my @login = ('host=127.0.0.1', 'port=' . $db->port, 'user=weir',
    'password=secret');

# ---- Connect checks

my $said = $mysql->run('host=127.0.0.1', 'port=1', 'user=weir');
like($said, qr/^end -1 .*connect to 127\.0\.0\.1:1 as weir/m, 'nobody listens: RETRY');
$said = $mysql->run(@login);
like($said, qr/^log error: .* lets nobody in as weir.*password_file/m,
    'a login refused: what to do, as an error');
like($said, qr/^end -1 .*Access denied/m, 'and RETRY');

$db->do("CREATE USER weir IDENTIFIED BY 'secret'",
    'CREATE DATABASE shop', 'SET GLOBAL binlog_format = MIXED',
    'SET GLOBAL binlog_row_image = MINIMAL');
$said = $mysql->run(@login);
my @wrong = ('binlog_format is MIXED', 'REPLICATION SLAVE is missing',
    'BINLOG MONITOR .*is missing', 'SELECT, .*is missing');
like($said, qr/^log error: .*$_/m, "said: $_") for @wrong;
my $all = join '.*', @wrong;
like($said, qr/^end -3 .*$all/m, 'all in one go, FATAL');
like($said, qr/^log error: binlog_format = ROW$/m, 'the line for my.cnf');
like($said, qr/^log warn: .*binlog_row_image is MINIMAL/m, 'the row image: a warning');
like($said, qr/^log warn: .*binlog_row_metadata is NO_LOG/m, 'the metadata: a warning');
my ($grant) = $said =~ /(GRANT .* TO .*);$/m;
is($grant, "GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'weir'\@'%'",
    'the GRANT to paste');
$db->do('SET GLOBAL binlog_format = ROW', 'SET GLOBAL binlog_row_image = FULL', $grant);

# ---- Streaming

$db->do('CREATE TABLE shop.t (id INT UNSIGNED PRIMARY KEY, j JSON,'
        . ' v VARCHAR(9) CHARACTER SET latin1, e ENUM("a","b") NOT NULL,'
        . ' g INT AS (id + 1) VIRTUAL, h INT INVISIBLE, UNIQUE (e, v))',
    'INSERT INTO shop.t (id, v) VALUES (1, "a")');
my $gtid = $db->value('SELECT @@gtid_binlog_pos');
my ($end) = $db->rows('SHOW MASTER STATUS');
$mysql->start(@login, '@describe=shop.t');
like($mysql->wait_said(qr/^(position .*)$/m), qr/^position \[\Q$gtid\E\] $end->[0]:$end->[1]$/,
    'start = now: GTID and file of one moment');
like($mysql->said, qr/^server uid:\S+ \(10\./m, 'the server says who it is');
like($mysql->said, qr/^log info: .*not copied/m, 'existing rows: said');
$mysql->wait_said(qr/^described 0/m);
my @columns = $mysql->said =~ /^column (.*)$/mg;
is_deeply(\@columns,
    [   'id int(10) unsigned [] 65',
        'j json [utf8mb4_bin] 0',
        'v varchar(9) [latin1_swedish_ci] 0',
        q{e enum('a','b') [utf8mb4_general_ci] 80},
        'g int(11) [] 4',
        'h int(11) [] 8',
    ],
    'columns are described'
);
is_deeply([ $mysql->said =~ /^key (\d+)$/mg ], [0], 'and the key');
like($mysql->said, qr/^defined at \[\Q$gtid\E\] $end->[0]:$end->[1]$/m, 'of which moment');
$mysql->wait_said(qr/type=27/);
$db->do('INSERT INTO shop.t (id, v) VALUES (2, "b")');
$mysql->wait_said(qr/type=162.*\n(?:event.*\n)*event type=16 .*\nflush /);
pass('a transaction arrives and is flushed');
is_deeply([ map { $_->[1] } $db->rows('SHOW SLAVE HOSTS') ], ['weir'], 'SHOW SLAVE HOSTS lists it');
$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t (id, v) VALUES (3, "c")');
$mysql->wait_said(qr/type=4 .*flags=0\n(?:flush.*\n)?event type=4 .*flags=20\n(?s:.*)type=15.*type=16 /s);
pass('across a rotation');
cmp_ok($mysql->stop, '<', 300 * $Weir::Slow, 'a stop while it waits is quick');
like($mysql->said, qr/^end 0 /m, 'and OK');

# A big row comes whole; many small ones are flushed by read, not by each.
$db->do('CREATE TABLE shop.big (b LONGBLOB)');
$mysql->start(@login, '@quiet', "start=gtid:$gtid");
$mysql->wait_said(qr/^flush/m);
$db->do('INSERT INTO shop.big VALUES (REPEAT("x", 40000000))');
$mysql->wait_said(qr/ 4\d{7} bytes$/m, 60);
pass('a row of 40 MB');
$mysql->stop;
$db->do('CREATE TABLE shop.many (i INT PRIMARY KEY)');
my $behind = $db->value('SELECT @@gtid_binlog_pos');
$db->do(map { "INSERT INTO shop.many VALUES ($_)" } 1 .. 2000);
$mysql->start(@login, '@quiet', "start=gtid:$behind");
$mysql->wait_said(qr/after (?:[89]\d{3}|1\d{4}) events/);
my $flushes = () = $mysql->said =~ /^flush/mg;
cmp_ok($flushes, '<', 400, "2000 transactions, $flushes flushes");
$mysql->stop;

# ---- Starts

sub events_from
{
    my (@start) = @_;
    $mysql->start(@login, @start);
    $mysql->wait_said(qr/type=27/);
    $mysql->stop;
    return scalar(() = $mysql->said =~ /type=162/g);
}

my $total = events_from('start=earliest');
cmp_ok($total, '>', 2000, 'start = earliest');
is(events_from("start=gtid:$behind"),   2000, 'start = gtid');
is(events_from("start=now"),            0,    'start = now');
my ($first) = $db->rows('SHOW BINARY LOGS');
is(events_from("start=file:$first->[0]:4"), $total, 'start = file');
is(events_from("\@gtid=$behind", 'start=earliest'), 2000, 'a position known goes before start');
is(events_from("\@file=$end->[0]", "\@offset=$end->[1]"), events_from("\@gtid=$gtid"),
    'file and offset, and the GTID of that place, are one place');

# ---- What the server can't give

sub refused
{
    my ($what, $pattern, @start) = @_;
    my $end = $mysql->run(@login, @start);
    like($end, qr/^end -3 .*$pattern/m, $what);
    unlike($end, qr/^event type=(?:162|19|16) /m, "$what: nothing was fed");
    return;
}

my ($domain_server) = $gtid =~ /^(\d+-\d+)-/;
refused('ahead of the server', qr/has not executed GTID $domain_server-99999, which comes behind/,
    "\@gtid=$domain_server-99999");
refused('another server of the domain', qr/has not executed GTID 0-999-1, of a server/,
    '@gtid=0-999-1');
refused('a domain unknown there', qr/has not executed GTID 9-1-1, of a domain/, "\@gtid=$gtid,9-1-1");
refused('a file unknown there', qr/does not have binlog bin\.000099.*it has bin\.0/, '@file=bin.000099',
    '@offset=4');
refused('beyond a file', qr/has only \d+ bytes of $end->[0].*at 99999999/, "\@file=$end->[0]",
    '@offset=99999999');
refused('in the middle of an event', qr/refuses to send/, "\@file=$end->[0]", '@offset=300');
refused('no GTID of a MariaDB', qr/no list of MariaDB GTIDs/,
    '@gtid=3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5');

# ---- Losing the connection

my $dump = q{SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'};
$mysql->start(@login, '@runs=100', '@quiet', 'start=now');
$mysql->wait_said(qr/^flush/m);
$db->do('KILL ' . $db->value($dump));
$mysql->wait_said(qr/^end -1 .*connection is lost/m);
$mysql->wait_said(qr/^end -1 (?s:.*)connected to/m);
pass('a killed connection: RETRY, and again');
$db->stop;
$mysql->wait_said(qr/^end -1 .*connect to/m, 60);
$db->start;
wait_for('a connection after the restart', 30,
    sub { (() = $mysql->said =~ /^log info: connected/mg) > 2 });
pass('a restarted server: goes on');
$mysql->stop;

# ---- The same server_id twice

my $twin = Weir::Srchost->new($t, 'source_mysql');
$mysql->start(@login, 'server_id=77', '@quiet', '@runs=99');
$mysql->wait_said(qr/^flush/m);
$twin->start(@login, 'server_id=77', '@quiet', '@runs=99');
$mysql->wait_said(qr/^end -1 .*our server_id 77/m);
pass('a collision is said');
wait_for('three times', 30, sub { grep { $_->said =~ /^end -3/m } $mysql, $twin });
my ($loser) = grep { $_->said =~ /^end -3/m } $mysql, $twin;
like($loser->said, qr/^end -3 .*three times.*set server_id/m, 'after three times: FATAL');
$_->stop for $mysql, $twin;
isnt(id_of('@name=one'), id_of('@name=two'), 'pipelines have server_ids of their own');
is(id_of('@name=one'), id_of('@name=one'), 'which stay');

sub id_of
{
    $mysql->start(@login, @_);
    my $id = $mysql->wait_said(qr/as replica (\d+),/);
    $mysql->stop;
    return $id;
}

# ---- Purged

$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t (id, v) VALUES (8, "h")', 'FLUSH BINARY LOGS');
my ($last) = $db->rows('SHOW MASTER STATUS');
my $keep = $last->[0];
wait_for('the purge', 20, sub {
    $db->do("PURGE BINARY LOGS TO '$keep'");
    my ($oldest) = $db->rows('SHOW BINARY LOGS');
    $oldest->[0] eq $keep;
});
refused('a purged GTID', qr/no longer has what comes behind GTID \Q$gtid\E: its oldest binlog, $keep,/,
    "\@gtid=$gtid");
refused('a purged file', qr/no longer has binlog $end->[0].*it has $keep/, "\@file=$end->[0]",
    "\@offset=$end->[1]");
$db->do('RESET MASTER');
refused('a server that was reset', qr/has not executed GTID \Q$gtid\E/, "\@gtid=$gtid");

# ---- The same server's files

my $files = Weir::Srchost->new($t, 'source_binlog');
$db->do('INSERT INTO shop.t (id, v) VALUES (20, "20")');
my ($middle) = $db->rows('SHOW MASTER STATUS');
$db->do('INSERT INTO shop.t (id, v) VALUES (21, "21")', 'FLUSH BINARY LOGS',
    'INSERT INTO shop.t (id, v) VALUES (22, "22")', 'FLUSH BINARY LOGS');
my $copy = $t->make_dir('copy');
copy($_, $copy) or die "$_: $!\n" for glob "$db->{dir}/data/bin.0*";
my @names = map { s{.*/}{}r } sort glob "$copy/bin.0*";

sub commits { return scalar(() = $_[0] =~ /type=16 /g) }

$said = $files->run("path=$copy");
is(commits($said), 3, 'a folder without an index');
like($said, qr/^end 0/m, 'to its end, OK');
copy("$db->{dir}/data/bin.index", $copy);
is(commits($files->run("path=$copy")), 3, 'a folder with its index');
is(commits($files->run("files=$copy/$names[1]")), 1, 'a list');
$said = $files->run("path=$copy", "\@file=$middle->[0]", "\@offset=$middle->[1]");
is(commits($said), 2, 'from its middle');
like($said, qr/^event type=15 len=\d+ end=0 /m, 'behind a format description without a position');
like($said, qr/^event type=4 .*flags=20\nevent type=15/m, 'each file is announced');

sub refused_files
{
    my ($what, $pattern, @arguments) = @_;
    like($files->run(@arguments), qr/^(?:end|check) -3.*$pattern/m, $what);
    return;
}

refused_files('a file not among them', qr/at bin\.000077:4/, "path=$copy", '@file=bin.000077', '@offset=4');
refused_files('beyond its end', qr/has \d+ bytes, and this pipeline is at 99999/, "path=$copy",
    "\@file=$names[0]", '@offset=99999');
refused_files('a gap', qr/$names[2] does not follow \S*$names[0]/, "files=$copy/$names[0]",
    "files=$copy/$names[2]");

# A file ends with the name of the next one: that is where a pipeline stands then.
my @next = ("\@file=$names[1]", '@offset=4');
$said = $files->run("files=$copy/$names[0]", @next);
like($said, qr/^end 0/m, 'the file to come is not there: that was all');
is(commits($said), 0, 'and nothing comes again');
refused_files('in the middle of one to come', qr/at $names[1]:5,/, "files=$copy/$names[0]",
    $next[0], '@offset=5');
my $grows = $t->make_dir('grows');
copy("$copy/$names[0]", $grows);
$files->start("path=$grows", 'follow=on', @next);
$files->wait_said(qr/^log info: waits for $names[1]/m);
copy("$copy/$names[1]", "$grows/new");
rename "$grows/new", "$grows/$names[1]";
wait_for('what comes in it', 10, sub { commits($files->said) == 1 });
$files->stop;

truncate "$copy/$names[1]", (-s "$copy/$names[1]") - 7;
refused_files('cut in an event', qr/$names[1] ends in the middle of an event.*offset \d+/, "path=$copy");
for (
    [ 'no binlog',       "hello world",                qr/is no binlog/ ],
    [ 'encrypted',       "\xfdbin" . "\0" x 100,       qr/is encrypted/ ],
    [ 'a length of 0',   "\xfebin" . "\0" x 100,       qr/offset 4: there is no event of 0 bytes/ ],
    [ 'a length of 4 G', "\xfebin" . "\xff" x 100,     qr/no event of 4294967295 bytes/ ],
    [ 'empty',           '',                           qr/in the middle of an event.*offset 0/ ],
    )
{
    my ($what, $bytes, $pattern) = @$_;
    open my $out, '>:raw', "$copy/bad" or die;
    print $out $bytes;
    close $out;
    refused_files($what, $pattern, "files=$copy/bad");
}
POSIX::mkfifo("$copy/pipe", 0600);
refused_files('a pipe', qr/is not a file/, "files=$copy/pipe");
refused_files('nothing given', qr/neither path/);
refused_files('too much given', qr/one of them is too much/, 'path=/a', 'files=/b');

$files->start("path=$db->{dir}/data", 'follow=on');
$files->wait_said(qr/^flush/m);
$db->do('INSERT INTO shop.t (id, v) VALUES (31, "31")', 'FLUSH BINARY LOGS',
    'INSERT INTO shop.t (id, v) VALUES (32, "32")');
wait_for('what was appended', 10, sub { commits($files->said) == 5 });
cmp_ok($files->stop, '<', 400 * $Weir::Slow, 'follow = on: goes on into new files, and stops');
is(join(' ', Weir::Srchost::sanitizer_lines($t)), '', 'nothing from a sanitizer in the host');
$t->done;
