# The source module by itself against MySQL: rights and settings, logins,
# starts, sets of GTIDs with tags and gaps, refusals, collisions, definitions.
use Weir;
use Weir::Srchost;

my $t  = Weir->new;
my $db = $t->mysql(cnf => "binlog_row_metadata = MINIMAL\nbinlog_row_value_options = PARTIAL_JSON");
my $mysql = Weir::Srchost->new($t, 'source_mysql');
my @login = ('host=127.0.0.1', 'port=' . $db->port, 'user=weir', 'password=secret');
my $uuid  = $db->value('SELECT @@server_uuid');
my ($major) = $db->value('SELECT VERSION()') =~ /^(\d+\.)/;

# ---- Settings and rights, all in one go

$db->do("CREATE USER weir IDENTIFIED BY 'secret'", 'CREATE DATABASE shop',
    'SET GLOBAL binlog_format = MIXED', 'SET GLOBAL binlog_row_image = MINIMAL');
my $said = $mysql->run(@login);
my @wrong = ('binlog_format is MIXED', 'REPLICATION SLAVE is missing',
    'REPLICATION CLIENT is missing', 'SELECT, .*is missing');
like($said, qr/^log error: .*$_/m, "said: $_") for @wrong;
my $all = join '.*', @wrong;
like($said, qr/^end -3 .*$all/m, 'all in one go, FATAL');
like($said, qr/^log error: $_$/m, "for my.cnf: $_")
    for 'binlog_format = ROW', 'binlog_row_metadata = FULL', 'gtid_mode = ON';
like($said, qr/^log warn: .*$_/m, "a warning: $_")
    for 'binlog_row_image is MINIMAL', 'binlog_row_metadata is MINIMAL',
    'binlog_row_value_options is PARTIAL_JSON';
my ($grant) = $said =~ /(GRANT .* TO .*);$/m;
is($grant, "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'weir'\@'%'",
    'the GRANT to paste');
$db->do('SET GLOBAL binlog_format = ROW', 'SET GLOBAL binlog_row_image = FULL',
    'CREATE ROLE reader', 'GRANT SELECT ON *.* TO reader', 'GRANT reader TO weir',
    'SET DEFAULT ROLE reader TO weir',
    'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO weir');

# ---- Logins

sub connected
{
    my (@more) = @_;
    $mysql->start(@login, @more);
    my $line = $mysql->wait_said(qr/^(?:log info: (connected.*)|end .*)$/m);
    $mysql->stop;
    return $line;
}

$db->do('FLUSH PRIVILEGES');    # forgets who has logged in
like(connected(), qr/^connected.*\(\Q$major\E\S+\) as replica/, 'caching_sha2_password by RSA key, a role for SELECT');
like(connected(), qr/^connected/, 'and cached');
$db->do('FLUSH PRIVILEGES');
like(connected('tls=on'), qr/^connected.*TLSv1\.[23], \S+\)/, 'by TLS');
like($mysql->said, qr/^log warn: tls = on: .*not verified/m, 'which verifies nobody, and says so');
like($mysql->run(@login[0, 1, 2], 'password=no'), qr/^end -1 .*Access denied/m, 'a wrong password');
$db->do('SET GLOBAL require_secure_transport = ON');
like($mysql->run(@login), qr/^end -3 .*wants TLS: set tls = verify/m, 'TLS required: said what to set');
like(connected('tls=on'), qr/^connected/, 'with TLS it lets us in');
$db->do('SET GLOBAL require_secure_transport = OFF');

# ---- Streaming, describing

$db->do('CREATE TABLE shop.t (id INT UNSIGNED PRIMARY KEY, j JSON,'
        . ' v VARCHAR(9) CHARACTER SET latin1, e ENUM("a","b") NOT NULL,'
        . ' g INT AS (id + 1) VIRTUAL, h INT INVISIBLE, UNIQUE (e, v))',
    'SET SESSION sql_generate_invisible_primary_key = ON',
    'CREATE TABLE shop.gipk (a INT)',
    'SET SESSION sql_generate_invisible_primary_key = OFF',
    'CREATE TABLE shop.uniq (a INT, z INT NOT NULL, b INT NOT NULL, UNIQUE y (z), UNIQUE x (a), UNIQUE w (b, z))',
    'SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF',
    'INSERT INTO shop.t (id, v, e) VALUES (1, "a", "a")');

sub described
{
    my ($table) = @_;
    $mysql->start(@login, "\@describe=shop.$table");
    $mysql->wait_said(qr/^described/m);
    $mysql->stop;
    return ([ $mysql->said =~ /^column (.*)$/mg ], [ $mysql->said =~ /^key (\d+)$/mg ]);
}

my ($columns, $key) = described('t');
is_deeply($columns,
    [   'id int unsigned [] 65',
        'j json [] 0',
        'v varchar(9) [latin1_swedish_ci] 0',
        q{e enum('a','b') [utf8mb4_0900_ai_ci] 80},
        'g int [] 4',
        'h int [] 8',
    ],
    'columns: generated, invisible'
);
is_deeply($key, [0], 'and the key');
my $place = $db->place;
like($mysql->said, qr/^defined at \[\Q$uuid\E:1-\d+\] $place->[0]:$place->[1]$/m, 'of which moment');
($columns, $key) = described('gipk');
is_deeply([ $columns, $key ], [ [ 'my_row_id bigint unsigned [] 73', 'a int [] 0' ], [0] ],
    'a generated invisible primary key, though information_schema hides it');
($columns, $key) = described('uniq');
is_deeply($key, [ 2, 1 ], 'no primary key: the first by name without NULL');

# ---- Starts

sub events_from
{
    my (@start) = @_;
    $mysql->start(@login, @start);
    $mysql->wait_said(qr/type=27 len=\d+ end=$place->[1] /);
    $mysql->stop;
    return scalar(() = $mysql->said =~ /type=(?:33|34|42) /g);
}

# Two of another server's; the second is tagged where there are tags (8.3).
my $other = 'ffffffff-71ca-11e1-9e33-c80aa9429562';
my $tags = $db->release >= 803;
my $last = $tags ? 'AUTOMATIC:blue' : "$other:2";
my $before = $db->gtids;
my $middle = $db->place;
$db->do(
    map({ "INSERT INTO shop.t (id, e) VALUES ($_, 'a')" } 10 .. 19),
    "SET gtid_next = '$uuid:5000'", 'INSERT INTO shop.t (id, e) VALUES (20, "a")',
    "SET gtid_next = '$other:1'", 'INSERT INTO shop.t (id, e) VALUES (21, "a")',
    "SET gtid_next = '$last'", 'INSERT INTO shop.t (id, e) VALUES (22, "a")', 'SET gtid_next = AUTOMATIC'
);
my $now = $db->gtids;
like($now, $tags ? qr/^$uuid:1-\d+:5000:blue:1,$other:1$/ : qr/^$uuid:1-\d+:5000,$other:1-2$/,
    'the server has a gap, two servers, and a tag if it knows them');
$place = $db->place;
my ($first) = $db->rows('SHOW BINARY LOGS');
my $total = events_from('start=earliest');
cmp_ok($total, '>', 20, 'start = earliest');
is(events_from('start=now'), 0, 'start = now: all of that is had');
is(events_from("start=gtid:$before"), 13, 'start = gtid');
is(events_from("\@gtid=$before:5000"), 12, 'a gap is not filled by what is behind it');
is(events_from("\@gtid=$before,$other:1"), 12, 'the first of another server');
is(events_from($tags ? "\@gtid=$before:blue:1" : "\@gtid=$before,$other:2"), 12, 'a tag');
is(events_from("start=file:$first->[0]:4"), $total, 'start = file');
is(events_from("start=file:$middle->[0]:$middle->[1]"), 13, 'from the middle of a file');
like($mysql->said, qr/^position \[\Q$before\E\] /m, 'with all GTIDs before it');
$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t (id, e) VALUES (30, "a")');
($middle, $before) = ($db->place, $db->gtids);
$db->do('INSERT INTO shop.t (id, e) VALUES (31, "a")');
$place = $db->place;
is(events_from("start=file:$middle->[0]:$middle->[1]"), 1, 'and of the next');
like($mysql->said, qr/^position \[\Q$before\E\] /m, 'with those of the files before');
is(events_from("\@gtid=$before", 'start=earliest'), 1, 'a position known goes before start');

# ---- What the server can't give

sub refused
{
    my ($what, $pattern, @start) = @_;
    my $end = $mysql->run(@login, @start);
    like($end, qr/^end -3 .*$pattern/m, $what);
    unlike($end, qr/^event type=(?:33|42|19|16) /m, "$what: nothing was fed");
    return;
}

my $foreign = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
refused('ahead of the server', qr/has not executed GTIDs $uuid:9000; it is at $uuid:1-/, "\@gtid=$uuid:9000,$before");
refused('GTIDs of another', qr/has not executed GTIDs $foreign:1-7;/, "\@gtid=$foreign:1-7,$before");
refused('a list of MariaDB', qr/no set of MySQL's GTIDs/, '@gtid=0-1-7');
refused('a file unknown there', qr/does not have binlog bin\.000099/, '@file=bin.000099', '@offset=4');
refused('beyond a file', qr/has only \d+ bytes of $middle->[0]/, "\@file=$middle->[0]", '@offset=99999999');

# ---- Losing the connection, the same server_id twice

my $dump = q{SELECT id FROM performance_schema.processlist WHERE command LIKE 'Binlog Dump%'};
$mysql->start(@login, '@runs=100', '@quiet', 'start=now');
$mysql->wait_said(qr/^flush/m);
$db->do('KILL ' . $db->value($dump));
$mysql->wait_said(qr/^end -1 (?s:.*)connected to/m);
pass('a killed connection: RETRY, and again');
is((map { $_->[1] } $db->rows('SHOW REPLICAS'))[0], 'weir', 'SHOW REPLICAS lists it');
$mysql->stop;

my $twin = Weir::Srchost->new($t, 'source_mysql');
$mysql->start(@login, 'server_id=77', '@quiet', '@runs=99');
$mysql->wait_said(qr/^flush/m);
$twin->start(@login, 'server_id=77', '@quiet', '@runs=99');
$mysql->wait_said(qr/^end -1 .*our server_id 77/m);
pass('a collision is said');
wait_for('three times', 30, sub { grep { $_->said =~ /^end -3/m } $mysql, $twin });
my ($loser) = grep { $_->said =~ /^end -3/m } $mysql, $twin;
like($loser->said, qr/^end -3 .*three times.*SHOW REPLICAS.*set server_id/m, 'after three times: FATAL');
$_->stop for $mysql, $twin;

# ---- Purged, reset

$db->do('FLUSH BINARY LOGS', 'INSERT INTO shop.t (id, e) VALUES (40, "a")');
my $keep = $db->place->[0];
wait_for('the purge', 20, sub {
    $db->do("PURGE BINARY LOGS TO '$keep'");
    (($db->rows('SHOW BINARY LOGS'))[0])->[0] eq $keep;
});
refused('a purged GTID', qr/no longer has what comes behind GTID \Q$before\E: it purged the binlogs with $uuid:/,
    "\@gtid=$before");
refused('a purged file', qr/no longer has binlog $middle->[0]/, "\@file=$middle->[0]", "\@offset=$middle->[1]");
$db->do($db->release < 802 ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS');
refused('a server that was reset', qr/has not executed GTIDs .* at no transaction/, "\@gtid=$before");

# ---- Without GTIDs

$db->do(map { "SET GLOBAL gtid_mode = $_" } qw(ON_PERMISSIVE OFF_PERMISSIVE OFF));
$place = $db->place;
$mysql->start(@login);
$mysql->wait_said(qr/type=27/);
like($mysql->said, qr/^log warn: .*gtid_mode is OFF/m, 'gtid_mode = OFF: a warning');
like($mysql->said, qr/^log info: connected.*behind $place->[0]:$place->[1]$/m, 'a dump by file');
$db->do('INSERT INTO shop.t (id, e) VALUES (50, "a")');
$mysql->wait_said(qr/type=34 (?s:.*)type=16 /);
pass('anonymous transactions arrive');
$mysql->stop;
like($mysql->run(@login, "start=gtid:$uuid:1-5"), qr/^end -3 .*gtid_mode is not ON/m,
    'start = gtid wants GTIDs');
is(join(' ', Weir::Srchost::sanitizer_lines($t)), '', 'nothing from a sanitizer in the host');
$t->done;
