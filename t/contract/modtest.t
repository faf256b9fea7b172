# weir-modtest: our own modules keep the contract; for each promise a module
# that breaks it is caught, by name.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $build  = $ENV{WEIR_BUILD};
my $source = $ENV{WEIR_SOURCE};
my $dir    = tempdir(CLEANUP => 1);
my $cc     = $ENV{CC} || 'cc';
$ENV{WEIR_MODULE_DIR} = "$build/.libs";
plan skip_all => 'the thread sanitizer waits for itself in a process that forked'
    if `ldd $build/weir-modtest` =~ /libtsan/;

# A module, its block or none; the status and what it printed.
sub modtest
{
    my ($module, $block, @options) = @_;
    my @conf;
    if (defined $block) {
        open my $out, '>', "$dir/block.conf" or die;
        print {$out} "$block\n";
        close $out or die;
        @conf = "$dir/block.conf";
    }
    my @command = ("$build/weir-modtest", @options, $module, @conf);
    open my $in, '-|', @command or die "weir-modtest: $!";
    my $said = do { local $/; readline $in };
    close $in;
    return ($? >> 8, $said);
}

# ---- Ours
my %block = (
    filter_table      => 'table { include = {"shop.*"}  operations = {"insert"} }',
    transform_columns => 'columns { drop = {"*.name"}  rename = {"shop.types.c_int=x"} }',
    sink_null         => 'null { format = row }',
    sink_stdout       => 'stdout { }',
    sink_file         => 'file { path = "{database}/{table}.jsonl" }',
    sink_exec         => q~exec { command = {"/bin/sh", "-c",~
        . q~ "echo ready; while read -r l; do case $l in end*) echo ok;; esac; done"} }~,
    source_binlog     =>
        qq(binlog { files = {"$source/t/data/mariadb1011_alltypes.binlog"} }),
);
for my $name (sort keys %block) {
  SKIP: {
        skip "$name is not built", 2 if !-e "$build/.libs/$name.so";
        my ($status, $said) = modtest("$build/.libs/$name.so", $block{$name});
        is($status, 0, "$name keeps the contract") or diag $said;
        my ($plan) = $said =~ /^1\.\.(\d+)$/m;
        my $points = () = $said =~ /^ok \d+/mg;
        is($points, $plan, "$name: as many points as it planned");
    }
}
SKIP: {
    skip 'source_mysql is not built', 1 if !-e "$build/.libs/source_mysql.so";
    my ($status, $said) = modtest("$build/.libs/source_mysql.so",
        'mysql { user = x }', '-s', 'check');
    is($status, 0, 'source_mysql: all that needs no server') or diag $said;
}

# ---- What is built on purpose
sub compile
{
    my ($file, $name, @flags) = @_;
    system($cc, '-w', '-std=gnu11', '-shared', '-fPIC', '-pthread',
        "-I$source/core/include", @flags, "$source/t/contract/bad/$file.c",
        '-o', "$dir/$name.so") == 0 or BAIL_OUT("can't build $file");
    return "$dir/$name.so";
}

sub caught
{
    my ($what, $module, $block, $section, $want) = @_;
    my $seconds = $want =~ /hangs|follows a PENDING/ ? 2 : 30;
    my ($status, $said) = modtest($module, $block, '-t', $seconds, '-b', 100000,
        $section ? ('-s', $section) : ());
  SKIP: {
        skip "$what: memory is not counted here", 1
            if $said =~ /^ok .*SKIP this C library/m && $want =~ /memory/;
        ok($status == 1 && $said =~ /^not ok \d+ - .*$want/m, "caught: $what")
            or diag $said;
    }
    return;
}

my $sink = compile('sink_bad', 'sink_bad');
for my $good ('', 'pending = on', 'by_txn = on', 'pending = on  by_txn = on') {
    my ($status, $said) = modtest($sink, "bad { $good }");
    is($status, 0, "the bad sink is a good one when told so: $good")
        or diag $said;
}

# Of a sink: what it does, the section that finds out, what that says.
my @sink = (
    [ check_opens => 'check', 'touch nothing .one opens a file' ],
    [ check_forks => 'check', 'touch nothing .one starts a process' ],
    [ check_writes => 'check', 'check.. dies of signal 11' ],
    [ 'secret"  password = "hunter2' => 'check', 'does not say a secret' ],
    [ no_reason => 'check', 'check.. says why it gives FATAL' ],
    [ two_lines => 'check', 'one sentence on one line' ],
    [ long_reason => 'check', 'keeps its reason within struct weir_err' ],
    [ no_lanes => 'check', 'within what there is' ],
    [ batching_varies => 'check', 'batching.. says the same twice' ],
    [ open_crashes => 'open', 'open.. dies of signal 11' ],
    [ open_exits => 'open', 'open.. ends the process, with status 3' ],
    [ open_drops => 'open', 'open.. does not give DROP' ],
    [ odd_status => 'open', 'gives a weir_status' ],
    [ leak_fd => 'open', 'leaves no file descriptor' ],
    [ leak_thread => 'open', 'leaves no thread' ],
    [ leak_process => 'open', 'leaves no process' ],
    [ leak_memory => 'open', 'close.. keeps no memory' ],
    [ signals => 'open', 'signals, umask and working folder' ],
    [ folder => 'open', 'signals, umask and working folder' ],
    [ only_one => 'open', 'many times: open.. gives RETRY' ],
    [ close_hangs => 'open', 'close.. hangs' ],
    [ tick_hangs => 'open', 'tick.. hangs' ],
    [ table_drops => 'tables', 'table.. does not give DROP' ],
    [ table_edits => 'tables', 'table.. dies of signal 11' ],
    [ use_beyond => 'tables', 'table.. dies of signal 6' ],
    [ table_crashes => 'tables', 'table.. dies of signal 11' ],
    [ leak_table => 'table-leaks', 'table_end.. keeps no memory' ],
    [ write_crashes => 'write', 'write.. dies of signal 11' ],
    [ write_hangs => 'write', 'write.. hangs: no end after 2 s' ],
    [ write_closes_all => 'write', 'write.. hangs: no end after 2 s' ],
    [ write_exits => 'write', 'write.. ends the process, with status 0' ],
    [ null_crashes => 'values', 'write.. dies of signal 7' ],
    [ empty_crashes => 'write', 'write.. dies of signal 6' ],
    [ absent_refused => 'values', 'absent: FATAL' ],
    [ write_drops => 'write', 'write.. does not give DROP' ],
    [ write_retries => 'write', 'an INSERT: RETRY: maybe later' ],
    [ write_edits => 'write', 'write.. dies of signal 11' ],
    [ batch_edits => 'write', 'leaves struct weir_batch as it was' ],
    [ keeps_event => 'write', 'write.. dies of signal 11' ],
    [ verdict_beyond => 'write', 'write.. dies of signal 6' ],
    [ verdict_fatal => 'write', 'weir_verdict.. says RETRY or REJECT' ],
    [ verdict_silent => 'write', 'weir_verdict.. says why' ],
    [ verdict_late => 'write', 'is called before its batch is done' ],
    [ rejects_all => 'write', 'an INSERT' ],
    [ done_unasked => 'write', 'ends PENDING batches only' ],
    [ leak_batch => 'write-leaks', 'write.. keeps no memory' ],
    [ leak_batch_fd => 'write-leaks', 'write.. leaves no file descriptor' ],
    [ forks => 'write-leaks', 'write.. leaves no process' ],
    [ 'done_twice"  pending = "on' => 'write', 'is called once for a batch' ],
    [ 'never_done"  pending = "on' => 'write', 'follows a PENDING' ],
    [ 'done_pending"  pending = "on' => 'write', 'does not give PENDING' ],
    [ 'commits_early"  by_txn = "on' => 'uncommitted', 'what was committed' ],
    [ cut_checkpoint => 'restore', 'byte for byte' ],
    [ found_twice => 'restore', 'finds each slot once' ],
    [ restore_reject => 'restore', 'checkpoints: start: no such thing' ],
    [ forget_nothing => 'restore', 'nothing that was forgotten' ],
    [ forget_all => 'slots', 'leaves the others' ],
    [ empty_ignored => 'restore', 'what an empty batch stored' ],
    [ one_slot => 'slots', "each lane's own" ],
    [ one_id => 'slots', "another id's" ],
    [ not_fenced => 'fence', 'gives FENCED' ],
    [ forget_epoch => 'fence', 'FENCED' ],
);
caught("sink $_->[0]", $sink, qq(bad { how = "$_->[0]" }), @$_[ 1, 2 ])
    for @sink;

# Of a filter and a transform.
my $filter    = compile('transform_bad', 'filter_bad', '-DFILTER');
my $transform = compile('transform_bad', 'transform_bad');
for my $module ($filter, $transform) {
    my ($status, $said) = modtest($module, 'bad { }');
    is($status, 0, 'one that breaks nothing') or diag $said;
}
caught("filter $_->[0]", $filter, "bad { how = $_->[0] }", 'pure', $_->[1]) for
    [ impure => 'the same row gives the same result' ],
    [ shared => 'another instance says the same' ],
    [ no_reason => 'filter.. says why' ],
    [ pending => 'filter.. does not give PENDING' ],
    [ delete_crashes => 'filter.. dies of signal 11' ];
caught("transform $_->[0]", $transform, "bad { how = $_->[0] }",
    $_->[2] // 'pure', $_->[1]) for
    [ impure => 'the same row gives the same result' ],
    [ static_text => 'values live as long as their batch' ],
    [ wrong_type => "values of their column's type" ],
    [ not_utf8 => 'text in UTF-8' ],
    [ edits => 'transform.. dies of signal 11' ],
    [ before_of_insert => 'transform.. dies of signal 11' ],
    [ two_names => 'no two columns of one name', 'tables' ],
    [ no_name => 'names each column', 'tables' ],
    [ keep_beyond => 'table.. dies of signal 6', 'tables' ],
    [ bare_type => 'a type of values', 'tables' ];

# Of the struct: what the compiler is told, what is said then.
my @heads = (
    [ '-DHEAD=.abi_major=7' => 'built for ABI 7' ],
    [ '-DHEAD=.abi_minor=99' => 'built for ABI \d+\.99' ],
    [ '-DHEAD=.size=64' => 'was not built with its headers' ],
    [ '-DHEAD=.size=100000' => 'was not built with its headers' ],
    [ '-DHEAD=.directive_size=8' => 'was not built with its headers' ],
    [ '-DSTAGE=9' => 'a stage 9' ],
    [ '-DNAME="Head"' => 'its name' ],
    [ '-DNAME="filter"' => 'its name' ],
    [ '-DVERSION=0' => 'no version' ],
    [ '-DVERSION=""' => 'says its version' ],
    [ '-DNO_WRITE' => 'without write' ],
    [ '-DCONF_SIZE=8' => 'outside of its conf struct' ],
    [ '-DSECOND=WEIR_STR(struct head_conf,b)' => 'has no help' ],
    [ '-DSECOND=WEIR_STR(struct head_conf,a,.help="x")' => 'two directives' ],
    [ '-DSECOND=WEIR_STR(struct head_conf,b,.help="x\ny")' => 'help of one line' ],
    [ '-DSECOND=WEIR_INT(struct head_conf,n,.help="x",.value="y")' => 'the default' ],
    [ '-DSECOND=WEIR_INT(struct head_conf,n,.help="x",.value="9",.max=5)' => 'the default' ],
    [ '-DSECOND=WEIR_INT(struct head_conf,n,.help="x",.min=9,.max=5)' => 'bounds that nothing fits' ],
    [ '-DSECOND=WEIR_CHOICE(struct head_conf,n,.help="x")' => 'no names to choose' ],
    [ '-DSECOND={.name="b",.kind=77,.help="x"}' => 'a kind that' ],
    [ '-DSECOND={.name="b",.kind=WEIR_K_STR,.help="x"}' => "don't share bytes" ],
    [ '-DSECOND={.name="password",.kind=WEIR_K_STR,.help="x",.offset=8}' => 'marked WEIR_SECRET' ],
    [ '-DSECOND=WEIR_STR(struct head_conf,b,.help="x",.flags=WEIR_ORDER)' => 'are of templates' ],
    [ '-DSECOND=WEIR_STR(struct head_conf,b,.help="x",.flags=WEIR_REQUIRED)' => 'block is read' ],
    [ '-DEXACTLY' => 'exactly-once needs' ],
    [ '-DBY_TXN' => 'needs commit' ],
    [ '-DLOADER=open("/dev/null",O_RDONLY)' => 'loading it leaves no file' ],
    [ '-DLOADER=exit(4)' => 'load of the file ends the process, with status 4' ],
    [ '-DLOADER=abort()' => 'load of the file dies of signal 6' ],
);
for my $n (0 .. $#heads) {
    my ($flag, $want) = @{ $heads[$n] };
    my $module = compile('sink_head', "head$n", $flag);
    caught($flag, $module, undef, undef, $want);
}
chmod 0666, $sink;
caught('a file that others may write', $sink, 'bad { }', 'load',
    'can be written by others');

# ---- The program itself
my ($status, $said) = modtest('--help');
is($status, 0, 'help');
like($said, qr/Sections: load directives check/, 'names the sections');
is((modtest('/nowhere/sink_x.so'))[0], 1, 'a module that is not there');
done_testing();
