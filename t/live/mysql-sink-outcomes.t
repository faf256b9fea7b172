# What can go wrong at the target, each once, and what becomes of it: the row or
# the table is put aside with a sentence, or the sink waits until it is mended,
# and nothing is lost or written twice.
use Weir;
use Weir::Replay;
use Time::HiRes qw(sleep);

my $t      = Weir->new;
my $db     = $t->database(cnf => 'max_allowed_packet = 64M');
my $target = replay_target($t, cnf => "max_allowed_packet = 1M\nmax_connections = 20");
$db->make_weir_user;

# name, the table there (with `n` to tell rows), what is done to the target's
# table, the row that it will not have, what is said.
my @refused = (
    [ 'duplicate', 'n INT PRIMARY KEY, a INT', 'ADD UNIQUE (a)', ['1,5', '2,5'], qr/Duplicate entry/ ],
    [ 'taken',     'n INT PRIMARY KEY, a INT', undef, ['2,5'], qr/Duplicate entry/, 'INSERT INTO %s VALUES (2, 1)' ],
    [ 'narrow',    'n INT PRIMARY KEY, a VARCHAR(20)', 'MODIFY a VARCHAR(3)', ["2,'much'"], qr/too long/ ],
    [ 'small',     'n INT PRIMARY KEY, a INT', 'MODIFY a TINYINT', ['2,1000'], qr/Out of range/ ],
    [ 'not_null',  'n INT PRIMARY KEY, a INT', 'MODIFY a INT NOT NULL', ['2,NULL'], qr/cannot be null/ ],
    [ 'checked',   'n INT PRIMARY KEY, a INT', 'ADD CHECK (a < 10)', ['2,10'], qr/CONSTRAINT|constraint/ ],
    [ 'member',    "n INT PRIMARY KEY, a ENUM('x', 'y')", "MODIFY a ENUM('x')", ["2,'y'"], qr/truncated/i ],
    [ 'orphan',    'n INT PRIMARY KEY, a INT', 'ADD FOREIGN KEY (a) REFERENCES parents (id)', ['2,77'], qr/foreign key/ ],
    [ 'huge',      'n INT PRIMARY KEY, a LONGBLOB', undef, ["2,REPEAT('x', 2000000)"], qr/max_allowed_packet/ ],
    [ 'triggered', 'n INT PRIMARY KEY, a INT', 'TRIGGER', ['2,1'], qr/not like this/ ],
    [ 'no_table',  'n INT PRIMARY KEY, a INT', 'DROP', ['2,1'], qr/has no table .*no_table/ ],
    [ 'no_column', 'n INT PRIMARY KEY, a INT', 'DROP COLUMN a', ['2,1'], qr/has no column a/ ],
    [ 'no_engine', 'n INT PRIMARY KEY, a INT', 'ENGINE = MyISAM', ['2,1'], qr/knows no transactions/ ],
    [ 'no_right',  'n INT PRIMARY KEY, a INT', 'REVOKE', ['2,1'], qr/denied|has no table/ ],
);
my @differs = ( # by then the target is not as the source had it
    [ 'missing', 'DELETE FROM %s', 'UPDATE %s SET a = 3', qr/is not there: the source had n=1, a=1/ ],
    [ 'other',   'UPDATE %s SET a = 9', 'UPDATE %s SET a = 3', qr/differs: the source had n=1, a=1; there is n=1, a=9/ ],
    [ 'deleted', 'UPDATE %s SET a = 9', 'DELETE FROM %s', qr/differs: .*there is n=1, a=9/ ],
);

for my $server ($db, $target) {
    $server->do('CREATE DATABASE shop CHARACTER SET utf8mb4', 'CREATE TABLE shop.ledger (n INT)',
        'CREATE TABLE shop.fine (n INT PRIMARY KEY)', 'CREATE TABLE shop.parents (id INT PRIMARY KEY)',
        'CREATE TABLE shop.pair (n INT PRIMARY KEY, a INT)', 'CREATE TABLE shop.weight (n INT)', 'CREATE TABLE shop.later (n INT PRIMARY KEY, a INT)',
        (map { "CREATE TABLE shop.$_->[0] ($_->[1])" } @refused),
        (map { "CREATE TABLE shop.$_->[0] (n INT PRIMARY KEY, a INT)" } @differs));
}
for my $case (@refused) {
    my ($name, undef, $how, undef, undef, $sql) = @$case;
    $target->do(sprintf $sql, "shop.$name") if $sql;
    next if !$how || $how eq 'REVOKE';
    $target->do($how eq 'DROP' ? "DROP TABLE shop.$name"
        : $how eq 'TRIGGER' ? "CREATE TRIGGER shop.t BEFORE INSERT ON shop.$name FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not like this'"
        : "ALTER TABLE shop.$name $how");
}
my @tables = map { $_->[0] } @refused;
$target->do("REVOKE ALL ON *.* FROM 'replay'\@'%'", "GRANT ALL ON weir.* TO 'replay'\@'%'",
    map { "GRANT ALL ON shop.$_ TO 'replay'\@'%'" } grep { !/no_right|no_table/ } @tables,
    'ledger', 'fine', 'parents', 'pair', 'weight', 'later', map { $_->[0] } @differs);
$t->expect_log(qr/is parked|newer owner|is of epoch/);
my $weir = $t->weir(config => replay_config($db, $target, $t->dir))->start;

sub put
{
    my (@sql) = @_;
    my $n = $db->value('SELECT COUNT(*) FROM shop.ledger') + 1;
    $db->do('BEGIN', @sql, "INSERT INTO shop.ledger VALUES ($n)", 'COMMIT');
    return;
}

# All in transactions with a row that is fine: that one is there at the end.
put('INSERT INTO shop.fine VALUES (0)', map { "INSERT INTO shop.$_->[0] VALUES (1, 1)" } @differs);
wait_replayed($db, $target);
$target->do(map { sprintf $_->[1], "shop.$_->[0]" } @differs);
my $i = 0;
for my $case (@refused) {
    put('INSERT INTO shop.fine VALUES (' . ++$i . ')',
        map { "INSERT INTO shop.$case->[0] VALUES ($_)" } @{ $case->[3] });
}
put(sprintf($_->[2], "shop.$_->[0]"), 'INSERT INTO shop.fine VALUES (' . ++$i . ')') for @differs;
wait_replayed($db, $target);
is($target->value('SELECT COUNT(*) FROM shop.fine'), $db->value('SELECT COUNT(*) FROM shop.fine'),
    'what stood beside what was refused is there');
for my $case ((map { [ @$_[0, 4] ] } @refused), (map { [ @$_[0, 3] ] } @differs)) {
    my $said = $case->[1];
    my ($line) = grep { /table shop\.$case->[0] is parked/ } $weir->log_lines;
    like($line // 'no line', $said, "$case->[0]: parked, and said why");
}

# ---- What waiting mends

sub waits
{
    my ($what, $begin, $said, $end) = @_;
    my $from = $weir->log_mark;
    $begin->();
    put('INSERT INTO shop.fine VALUES (' . ++$i . ')');
    my $line = eval { $weir->wait_log(qr/shop\/copy: .*$said.*next try/, from => $from, seconds => 40) };
    ok($line, "$what: tried again") or diag join "\n", (splice @{ [ $weir->log_lines ] }, $from);
    $end->();
    wait_replayed($db, $target);
    is($target->value("SELECT COUNT(*) FROM shop.fine WHERE n = $i"), 1, "$what: then written");
    return;
}
my $kill = sub {
    $target->do(map { "KILL $_->[0]" } $target->rows("SELECT id FROM information_schema.PROCESSLIST WHERE user = 'replay'"));
};
my $other = $target->client;
waits('a lock', sub { $other->do('BEGIN', "INSERT INTO shop.fine VALUES (@{[ $i + 1 ]})") },
    qr/Lock wait timeout/, sub { $other->do('ROLLBACK') });
# Heavier than ours, so that it is ours which is given up.
put('INSERT INTO shop.pair VALUES (1, 1), (2, 2)');
wait_replayed($db, $target);
sub wait_locked
{
    return wait_for('a lock wait', 20, sub {
        sleep 0.15;    # InnoDB shows the same for as long as it is asked within 0.1 s
        return $target->value("SELECT p.id FROM information_schema.INNODB_TRX
        JOIN information_schema.PROCESSLIST AS p ON p.id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT'");
    });
}
for my $case ([ 'a deadlock', qr/Deadlock found/, sub { $other->do('UPDATE shop.pair SET a = 7 WHERE n = 1') } ],
    [ 'an interruption', qr/interrupted/, sub { $target->do("KILL QUERY $_[0]") } ]) {
    my ($what, $said, $do) = @$case;
    my $from = $weir->log_mark;
    $other->do('BEGIN', 'INSERT INTO shop.weight VALUES ' . join(', ', map { "($_)" } 1 .. 2000), 'UPDATE shop.pair SET a = 7 WHERE n = 2');
    put('INSERT INTO shop.fine VALUES (' . ++$i . ')', 'UPDATE shop.pair SET a = a + 1 WHERE n = 1', 'UPDATE shop.pair SET a = a + 1 WHERE n = 2');
    $do->(wait_locked());
    ok(eval { $weir->wait_log(qr/shop\/copy: .*$said.*next try/, from => $from) }, "$what: tried again");
    $other->do('ROLLBACK');
    wait_replayed($db, $target);
}
is(join(' ', map { @$_ } $target->rows('SELECT a FROM shop.pair ORDER BY n')), '3 4', 'and each change is there once');
waits('a connection that is killed', $kill, qr/gone away|Lost connection|killed|closed|[Dd]isconnected/, sub {});
# Closed by the server, as there was nothing to do for long, with the source away:
# no failure.  (MySQL gets a limit from the sink, which is too long for a test.)
if (!$target->isa('Weir::Mysql')) {
    my $ours = sub { $target->value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE user = 'replay'") };
    $target->do('SET GLOBAL wait_timeout = 2');
    waits('a connection that is killed, again', $kill, qr/gone away|Lost connection|killed|closed|[Dd]isconnected/, sub {});
    $target->do('SET GLOBAL wait_timeout = DEFAULT');
    my $from = $weir->log_mark;
    $db->stop;
    wait_for('the server closes the connection', 30, sub { !$ours->() });
    $db->start;
    put('INSERT INTO shop.fine VALUES (' . ++$i . ')');
    wait_replayed($db, $target);
    is($weir->log_count(qr{shop/copy: .*next try}, $from), 0, 'one that was idle for long is made anew, and no more is said');
}
waits('read-only', sub { $target->do('SET GLOBAL read_only = 1') },
    qr/read.only/, sub { $target->do('SET GLOBAL read_only = 0') });
waits('a wrong password', sub { $target->do("ALTER USER 'replay'\@'%' IDENTIFIED BY 'other'"); $kill->() },
    qr/Access denied/, sub { $target->do("ALTER USER 'replay'\@'%' IDENTIFIED BY 'secret'") });
my @many;
waits('too many connections', sub {
        $target->do('SET GLOBAL max_connections = 10');
        for (1 .. 100) {    # until it is ours that found no room
            $kill->();
            for (1 .. 15) { my $c = eval { $target->client } or last; push @many, $c }
            last if !$target->value("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE user = 'replay'");
        }
    }, qr/Too many connections/, sub { @many = (); $target->do('SET GLOBAL max_connections = 50') });
waits('a server that is stopped', sub { $target->stop }, qr/connect/, sub { $target->start });
waits('a checkpoint that somebody took', sub { $target->do('UPDATE weir.weir_checkpoint SET owner = 7') },
    qr/somebody else took checkpoint|lost within a transaction/, sub {});

# ---- A column that goes while it is written to: parked, and resumed when it is back

put('INSERT INTO shop.later VALUES (1, 1)');
wait_replayed($db, $target);
$target->do('ALTER TABLE shop.later DROP COLUMN a');
put('INSERT INTO shop.fine VALUES (' . ++$i . ')', 'INSERT INTO shop.later VALUES (2, 2)');
like($weir->wait_log(qr/table shop\.later is parked/), qr/Unknown column|has no column a/, 'an unknown column: parked, and said why');
wait_replayed($db, $target);
$target->do('ALTER TABLE shop.later ADD a INT', 'UPDATE shop.later SET a = n');
put('UPDATE shop.later SET a = 5 WHERE n = 1');
my ($exit, $said) = $weir->ctl('park', 'resume', 'shop/copy', 'shop.later');
is($exit, 0, 'resumed') or diag $said;
wait_for('what was parked', 30, sub { join(' ', map { @$_ } $target->rows('SELECT a FROM shop.later ORDER BY n')) eq '5 2' });
pass('and nothing of it was lost');

# ---- What only a person mends

sub stops
{
    my ($what, $set, $said, $unset, @sql) = @_;
    my $error = $target->client->try($set);
    return note "$what: $error" if $error ne '';
    $kill->();
    my $from = $weir->log_mark;
    put('INSERT INTO shop.fine VALUES (' . ++$i . ')', @sql);
    like($weir->wait_log(qr/shop\/copy: stopped/, from => $from), $said, "$what: stopped, and says what to set");
    $target->do($unset);
    $weir->reload;
    wait_replayed($db, $target);
    is($target->value("SELECT COUNT(*) FROM shop.fine WHERE n = $i"), 1, "$what: then written");
    return;
}
$t->expect_log(qr/shop\/copy: stopped/);
stops('a small binlog cache', 'SET GLOBAL max_binlog_cache_size = 4096', qr/raise max_binlog_cache_size/,
    'SET GLOBAL max_binlog_cache_size = 4294967296', 'INSERT INTO shop.weight SELECT n FROM shop.fine',
    map { "INSERT INTO shop.weight VALUES " . join(', ', map { "($_)" } 1 .. 900) } 1 .. 8);
stops('statements in the binlog', "SET GLOBAL binlog_format = 'STATEMENT'", qr/binlog_format = ROW or MIXED/, "SET GLOBAL binlog_format = 'ROW'");

is(join(' ', map { $_->[0] } $target->rows('SELECT n FROM shop.fine ORDER BY n')), join(' ', 0 .. $i), 'each once');
$target->do('UPDATE weir.weir_checkpoint SET epoch = epoch + 1000');
$db->do('INSERT INTO shop.fine VALUES (-1)');
# By the sink's commit, or by the server that asked it for the checkpoint.
like($weir->wait_log(qr/newer owner|is of epoch/), qr/epoch (?:is )?\d+, (?:and )?ours is \d+/, 'a newer epoch: fenced');
is($target->value('SELECT COUNT(*) FROM shop.fine WHERE n < 0'), 0, 'and nothing was written');
$weir->stop;

# ---- Tries have an end, if one is set

my $few = $t->weir(config => replay_config($db, $target, $t->dir, sink => 'retry { base = 20ms  cap = 20ms  max = 3 }')
    =~ s/pipeline shop/pipeline few/r =~ s/start = earliest/start = now/r)->start;
$few->wait_log(qr/ connected to /);
$t->expect_log(qr{few/copy: stopped});
$few->wait_worker('sink few/copy');
$target->stop;
$db->do('INSERT INTO shop.fine VALUES (-2)');
like($few->wait_log(qr/few\/copy: stopped/), qr/given up after 3 tries, as retry/, 'and the sink stops then');
$t->done;
