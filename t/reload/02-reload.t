# Reload without load: who is left untouched, who starts anew, and what a bad
# configuration changes (nothing).
use Weir;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $here = dirname(abs_path($0));
my $t    = Weir->new;
my $dir  = $t->dir;
$t->make_dir('out');

sub pipeline
{
    my ($name, @sinks) = @_;
    my $sinks = join "\n    ", @sinks;
    return <<"EOT";
pipeline $name {
    source { binlog { files = {"$here/small.binlog"} } }
    relay { size = 16m }
    $sinks
}
EOT
}

my $keep   = 'sink keep { null { } }';
my $change = 'sink change { null { } }';
my $leave  = 'sink leave { null { } }';
my $weir   = $t->weir(config => pipeline('shop', $keep, $change, $leave))->start;

sub pids
{
    my (@names) = @_;
    return join ' ', map { $weir->worker_pid($_) // '-' } @names;
}
my @same = ('source shop', 'sink shop/keep');
my $before = pids(@same);
my $changing = $weir->wait_worker('sink shop/change');
my $slot = sub { join ' ', sort { $a cmp $b } Weir::Server::lines_of($weir->state . '/run/shop.sinks') };
is($slot->(), '0 keep 1 change 2 leave', 'slots');

my ($exit, $said) = $weir->reload(pipeline(
    'shop', $keep, 'sink change { events = 10  null { } }',
    "sink come { file { root = \"$dir/out\"  path = \"{table}.jsonl\" } }")
    . pipeline('two', $keep));
is($exit, 0, 'reload') or diag $said;
is(pids(@same), $before, 'unchanged workers are the same processes');
isnt($weir->wait_worker('sink shop/change'), $changing, 'a changed one is new');
is($weir->worker_pid('sink shop/leave'), undef, 'a removed one is gone');
ok(!-e $weir->state . '/run/shop.leave.sink', 'with its page');
ok(-e $weir->state . '/shop/leave', 'its checkpoint stays');
$weir->wait_worker('sink shop/come');
$weir->wait_worker('sink two/keep');
wait_for('the new sink writes', 20, sub { -s "$dir/out/en.jsonl" });
is($slot->(), '0 keep 1 change 2 come', 'slots of those that run stay');
$weir->wait_log(qr/sink shop\/leave is no longer in the configuration/);
$weir->wait_log(qr/reloaded .*: 2 workers unchanged, 1 changed or stopped before, 3 new, 1 removed/);

# ---- Bad ones

$t->expect_log(qr/reload refused/);
my $all = join ' ', sort values %{ $weir->workers };
my $text = Weir::read_file($weir->conf);
my @bad  = (
    [ 'pipeline shop {',       qr/weir\.conf:\d+: / ],
    [ $text =~ s/ null \{/ nul {/r, qr/'nul'/ ],
    [ $text . "sink x",        qr/weir\.conf:\d+: / ],
);
for my $case (@bad) {
    my ($broken, $sentence) = @$case;
    $weir->write_raw_config($broken);
    my $mark = $weir->log_mark;
    ($exit, $said) = $weir->reload;
    is($exit, 1, 'a bad one: 1');
    like($said, $sentence, 'and why');
    my @since = $weir->log_lines;
    splice @since, 0, $mark;
    is_deeply([ grep { /reloading/ } @since ], [], 'the server was not even asked');
    $weir->kill('HUP');
    my $line = $weir->wait_log(qr/reload refused/, from => $mark);
    like($line, $sentence, 'SIGHUP: one line in the log, with the reason');
}
$weir->write_raw_config($text =~ s/^state = .*/state = "$dir\/elsewhere"/mr);
$weir->kill('HUP');
$weir->wait_log(qr/reload refused.*`state` changes from/);
is(join(' ', sort values %{ $weir->workers }), $all, 'nobody was touched');
my ($still) = $weir->command('-s', 'status');
is($still, 2, 'status follows the file, whose state directory is another');

# ---- A broken file stops nobody from stopping the server

$weir->write_raw_config($text . "\nnonsense {");
my ($code, $words) = $weir->command('-s', 'status');
is($code, 0, 'status with a broken file');
like($words, qr/state directory is taken to be/, 'says how it was found');

# ---- Twenty in a row, and two at once

$weir->write_raw_config($text);
is(20 - grep({ ($weir->reload)[0] == 0 } 1 .. 20), 0, '20 reloads');
my @children = map {
    my $pid = fork // die;
    if (!$pid) { POSIX::_exit(($weir->reload)[0]) }
    $pid;
} 1 .. 4;
my @failed = grep { waitpid($_, 0); $? } @children;
is(scalar @failed, 0, 'four at once');
is(join(' ', sort values %{ $weir->workers }), $all, 'all as before');
$t->done;
