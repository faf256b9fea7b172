# What other readers of binlogs alter, drop, invent or stop at: each case of
# t/data/fidelity.sql, with the names in the log and without, live and as a
# backlog, against what the server itself says before and after each statement.
# The same statements in databases that no sink wants disturb nobody, before the
# start and in the stream.  Then: what has to stop loses none of the rows before.
use Weir;
use File::Copy qw(copy);
use Weir::Fidelity;
use Weir::Shop;

my $t  = Weir->new;
my $db = $t->database;
my $flavour = $db->isa('Weir::Mysql') ? 'mysql' : 'mariadb';
my ($none, $dir) = ($flavour eq 'mysql' ? 'MINIMAL' : 'NO_LOG', $t->dir);
my @cases = Weir::Fidelity::cases("$ENV{WEIR_SOURCE}/t/data/fidelity.sql", $flavour);
$db->make_weir_user;
$t->make_dir('files');

sub config
{
    my ($name, $start) = @_;
    my $source = shop_source($db, $start);
    return <<"EOT";
pipeline $name {
    $source
    sink all { tables = {"full_*.*", "bare_*.*"}  file { root = "$dir/files"  path = "$name.jsonl" } }
}
EOT
}

sub lines { return Weir::Server::lines_of("$dir/files/$_[0].jsonl") }

# Cases with a setting of the server's, each in a database of its own.
sub run_cases
{
    my ($names, @those) = @_;
    my @ran;
    $db->do('SET GLOBAL binlog_row_metadata = ' . ($names eq 'bare' ? $none : 'FULL'));
    for my $case (@those) {
        my $schema = $names . '_' . @ran;
        my $mirror = Weir::Fidelity->new($db);
        my %ran = (%$case, names => $names, schema => $schema, steps => [], errors => []);
        $mirror->{c}->do("CREATE DATABASE $schema CHARACTER SET utf8mb4", "USE $schema");
        for my $sql (@{ $case->{sql} }) {
            my $step = eval { $mirror->step($schema, $sql) };
            push @{ $ran{errors} }, $@ if $@;
            push @{ $ran{steps} }, $step if $step;
        }
        push @ran, \%ran;
    }
    return @ran;
}

# The rows that a Weir wrote, by the database of a case, and by transaction.
sub events_of
{
    my ($name) = @_;
    my %events;
    for my $line (lines($name)) {
        my $event = Weir::Fidelity::event($line) or next;
        push @{ $events{ $event->{db} }{ $event->{gtid} } }, $event;
    }
    return \%events;
}

sub check
{
    my ($weir, $name, $how, @ran) = @_;
    wait_for("the end of $name, or its stop", 60, sub {
        ($weir->status->{all}{state} // '') eq 'stopped'
            || grep { /"database":"full_end","table":"t",.*"operation":"insert"/ } lines($name);
    });
    is($weir->status->{all}{reason}, '', "$how: nothing stops");
    my $events = events_of($name);
    for my $case (@ran) {
        my $of = delete $events->{ $case->{schema} };
        my ($rows, @wrong) = (0, @{ $case->{errors} });
        for my $step (@{ $case->{steps} }) {
            push @wrong, Weir::Fidelity::differences($step,
                delete($of->{ $step->{gtid} }) // [], $case->{on} =~ /partial/);
            $rows += keys %{ $step->{tables} };
        }
        push @wrong, map { "made up: the transaction $_" } sort keys %$of;
        push @wrong, 'it changes nothing' if !$rows;
        is(join("\n", @wrong), '',
            "$how, " . ($case->{names} eq 'bare' ? $none : 'FULL') . ": $case->{name}");
    }
    is(join(' ', sort keys %$events), 'full_end', "$how: nothing of other databases");
    is(join("\n", grep { / (?:warn|error) .*(?:other|before)_/ } $weir->log_lines), '',
        "$how: nor a word of them");
    return;
}

my $page = Weir::read_file("$ENV{WEIR_SOURCE}/modules/source_mysql/CASES.md");
is(join(', ', grep { index($page, "\n| $_ | ") < 0 } map { $_->{name} } @cases), '',
    'CASES.md has each case');

# ---- Each case, beside others that nobody wants

my @special = grep { $_->{on} =~ /mysql|mariadb/ } @cases;
my @beside = run_cases(before => @special);
my $live = $t->weir(config => config('live', 'start = now'))->start;
$live->wait_state('source', 'running');
my @ran = run_cases(full => @cases);
push @beside, run_cases(other => @special);
push @ran, run_cases(bare => grep { $_->{on} !~ /full/ } @cases);
$db->do('CREATE DATABASE full_end', 'CREATE TABLE full_end.t (i INT)', 'INSERT INTO full_end.t VALUES (1)');
is(join("\n", map { @{ $_->{errors} } } @beside), '', 'the server takes them');
check($live, 'live', 'live', @ran);
$live->stop;
my $late = $t->weir(config => config('backlog', 'start = earliest'))->start;
check($late, 'backlog', 'backlog', @ran);
$late->stop;

# ---- What has to stop loses none of the rows before

my $good = 300;

# Rows, and where the log is then.
sub good_rows
{
    my ($schema) = @_;
    $db->do('FLUSH BINARY LOGS', "CREATE DATABASE $schema",
        "CREATE TABLE $schema.t (id INT PRIMARY KEY, v VARCHAR(99))");
    my ($file) = @{ $db->place };
    $db->do(map { "INSERT INTO $schema.t VALUES ($_, 'good')" } 1 .. $good);
    return $file;
}

sub ids { return join ' ', map { /"after":\{"id":(\d+)/ ? $1 : () } lines($_[0]) }

my $file = good_rows('stmt');
my $source = shop_source($db, qq(start = "file:$file:4"));
{
    my $c = $db->client;
    $c->do('SET SESSION binlog_format = STATEMENT',
        'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
        "INSERT INTO stmt.t VALUES (999, 'by a statement')");
}
my $stmt = $t->weir(config => <<"EOT");
pipeline stmt {
    $source
    sink all { tables = {"stmt.*"}  file { root = "$dir/files"  path = "stmt.jsonl" } }
}
EOT
$t->expect_log(qr/stmt/);
$stmt->start;
my $why = $stmt->wait_log(qr/ error .*stmt\.t is parked/);
like($why, qr/binlog_format/, 'statement-format write: the table is parked, and why is said');
is(ids('stmt'), join(' ', 1 .. $good), 'and every row before it has arrived');
$stmt->stop;

$file = good_rows('damage');
$db->do("INSERT INTO damage.t VALUES (999, 'damage me')", 'FLUSH BINARY LOGS');
copy("$db->{dir}/data/$file", "$dir/$file") or die "$file: $!\n";
my $bytes = Weir::read_file("$dir/$file");
my $at = rindex $bytes, 'damage me';
cmp_ok($at, '>', 0, 'the row is in the log');
open my $out, '+<:raw', "$dir/$file" or die "$file: $!\n";
sysseek $out, $at, 0;
syswrite $out, 'Damage me';
close $out;
my $damaged = $t->weir(config => <<"EOT");
pipeline damage {
    source { binlog { files = {"$dir/$file"} } }
    sink all { tables = {"damage.*"}  file { root = "$dir/files"  path = "damage.jsonl" } }
}
EOT
$t->expect_log(qr/damage/);
$damaged->start;
like($damaged->wait_log(qr/damage: event behind/), qr/checksum is wrong/,
    'a damaged event: it is not passed, and why is said');
wait_for('the rows before', 30, sub { ids('damage') =~ / $good$/ });
is(ids('damage'), join(' ', 1 .. $good), 'and every row before it has arrived');
$t->done;
