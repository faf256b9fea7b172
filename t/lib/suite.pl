#!/usr/bin/perl
# suite.pl - the steps of t/run: builds, make check, the live tests, lints,
# sanitizers, fuzzing.  Counts tests, says which failed and what was skipped
# and why; the last line is "N passed, N failed".  Knows no server: test files
# start their own.
use strict;
use warnings;
use File::Glob ':bsd_glob';
use Cwd qw(abs_path);
use File::Basename qw(basename);
use File::Path qw(make_path);
use FindBin;
use Getopt::Long;
use TAP::Harness;
use Time::HiRes qw(time);

my $source = abs_path("$FindBin::Bin/../..");
my $top    = build_folder();
my %option;
GetOptions(\%option, 'only=s', 'budget=f', 'list') && @ARGV <= 1
    or die "usage: t/run [--only NAME] [--budget MIN] [--list]"
    . " [quick|live|servers|long|bench]\n";
my $which = shift // 'all';
$which =~ /^(?:all|quick|live|servers|long|bench)$/
    or die "t/run: $which: know only quick, live, servers, long and bench\n";

my $long  = $which eq 'long';
my $seed  = $ENV{WEIR_SEED} //= int(rand(1_000_000_000));
my $begin = time;
my $jobs  = do { chomp(my $n = `nproc 2>/dev/null` || 2); $n };
my $minutes = $option{budget} // ($long ? 0 : 45);
my ($passed, $failed, @failures, @skips) = (0, 0);
my %built;

$ENV{VERBOSE}     = 1;    # make check shows the log of what failed
$ENV{WEIR_SOURCE} = $source;
$ENV{WEIR_LONG}   = $long ? 1 : 0;
$ENV{WEIR_KILLS}  //= $long ? 40 : 3;
delete @ENV{grep { /^(?:MAKE|MFLAGS$|DESTDIR$)/ } keys %ENV};

# The folders with live tests, and the files that sanitizers see in each run.
my @live_folders = ('t/live', 't/reload', 't/fault');
my @sanitized    = ('t/live/20-equality.t', 't/fault/30-crash-points.t');

# Those with lanes, for the sanitizer of threads.
my @threaded = map { "t/live/$_.t" } qw(20-equality 90-lanes mysql-sink-load
    mysql-sink-lanes);

# Of t/contract what needs an installed server; the rest is in make check.
my @contract = map { "t/contract/$_.t" }
    qw(abi newmodule modtest-redis modtest-mysql modtest-elasticsearch);

# Where servers differ: logins, settings, positions, events, definitions.  These
# run on MySQL too, and on each server by itself (t/run servers).  The rest is
# between Weir and its own files: once.
my @spine = qw(10-first 20-equality 21-big-row 30-restarts 40-connect-checks
    41-positions 44-collations 45-failover 46-failover-late 47-start-time 60-xa
    61-schema 64-ddl-backlog 67-ddl-silent 80-control);
my @compressed = qw(20-equality 21-big-row);

# What `t/run servers` runs where: WEIR_SERVER without its ending, and files.
my @matrix = (
    (map { [ $_, { '' => \@spine, '-zlib' => \@compressed } ] }
        qw(mariadb mariadb-11.4 mariadb-11.8)),
    [ 'mysql-5.5', { '' => ['../servers/too-old'] } ],
    [ 'mysql-5.6', { '' => \@spine } ],
    (map { [ $_, { '' => [ @spine, 'source-mysql' ], '-zstd' => \@compressed } ] }
        qw(mysql-8.0 mysql-9.7)),
);
# The same of Elasticsearch and OpenSearch; the first one is everybody's.
my @search_servers =
    qw(opensearch-2.19 opensearch-3.4 elasticsearch-7.17 elasticsearch-8.19);
my (%fetched, @table, %wrong);

# The mysql sink: on MariaDB into MariaDB all of t/live/mysql-sink*.t is among the
# live tests; of the other pairs these, and in a long run all, with types in both
# conflict modes.  MySQL 5.6 stands for 5.7, which can't be had: neither takes a
# list of values, but what it lacks beside leaves it a part of the files.
my %replayed = (
    'mysql mysql'   => [qw(types ranges load two-way ddl)],
    'mysql mariadb' => [qw(types)],
    'mariadb mysql' => [qw(types ranges load)],
    'mariadb mysql-8.0' => [],
    'mysql-8.0 mariadb' => [],
    'mariadb-11.8 mariadb-11.8' => [],
    'mariadb mysql-5.6' => [],
);
my $for_stand_in = qr/mysql-sink(?:-load|-two-way|-sysbench)?\.t$/;

# Quickest first; `in` says which of quick, live, long and all it belongs to.
my @steps = (
    [ 'gcc-build', 'all quick live servers long bench', sub { build('gcc') } ],
    [ 'gcc-check', 'all quick long', sub { make_check('gcc') } ],
    [ 'lint', 'all quick long', sub { tests('gcc', 't/lint') } ],
    [ 'fetch', 'all quick live servers long',
        sub { tests('gcc', 't/servers/fetch.t') } ],
    [ 'live', 'all live long', sub { tests('gcc', 't/live') } ],
    [ 'live-mysql', 'all live long', sub { on_server('mysql-9.7', '', @spine, '54-fidelity') } ],
    [ 'live-mysql-zstd', 'all live long',
        sub { on_server('mysql-9.7', '-zstd', @compressed) } ],
    (map { my @row = @$_; [ $row[0], 'servers', sub { matrix(@row) } ] } @matrix),
    (map { my $name = $_; [ $name, 'servers', sub { on_search($name) } ] }
        @search_servers),
    [ 'live-replay', 'all live long', \&live_replay ],
    [ 'contract', 'all live long', sub { tests('gcc', @contract) } ],
    [ 'reload', 'all live long', sub { tests('gcc', 't/reload') } ],
    [ 'fault', 'all live long', sub { tests('gcc', 't/fault') } ],
    [ 'fault-replay', 'long', \&fault_replay ],
    [ 'clang-build', 'all long', sub { build('clang') } ],
    [ 'clang-check', 'all long', sub { make_check('clang') } ],
    [ 'asan-build', 'all long', sub { build('asan') } ],
    [ 'asan-check', 'all long', sub { make_check('asan') } ],
    [ 'asan-live', 'all long',
        sub { tests('asan', $long ? @live_folders : @sanitized) } ],
    [ 'tsan-build', 'long', sub { build('tsan') } ],
    [ 'tsan-check', 'long', sub { make_check('tsan') } ],
    [ 'tsan-live', 'long', sub { tests('tsan', @threaded) } ],
    [ 'fuzz', 'all long', \&fuzz ],
    [ 'distcheck', 'all long', \&distcheck ],
    [ 'bench', 'bench', \&bench ],
);

my %compiler = (
    gcc   => { flags => ['--enable-werror'], env => { CC => 'gcc', CXX => 'g++' } },
    clang => {
        flags => ['--enable-werror'],
        env   => { CC => 'clang', CXX => 'clang++' },
    },
    asan => {
        flags => [ '--enable-werror', '--enable-sanitizers' ],
        env => { CC => 'gcc', CXX => 'g++', CFLAGS => '-O1 -g' },
    },
    tsan => { # gcc has a warning of its own about fences there: no -Werror
        flags => [],
        env   => {
            CC => 'gcc', CXX => 'g++', CFLAGS => '-O1 -g -fsanitize=thread',
            CXXFLAGS => '-O1 -g -fsanitize=thread', LDFLAGS => '-fsanitize=thread',
        },
    },
);

sub seconds { return sprintf '%.0f s', time - $_[0] }

sub note_failure
{
    my ($name, $count) = @_;
    $failed += $count // 1;
    push @failures, $name;
    return 0;
}

# Runs a command with its output in a log; a failure shows the end of it.
sub logged
{
    my ($log, $limit, $dir, @command) = @_;
    make_path("$top/log");
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        chdir $dir or die "chdir $dir: $!\n";
        open STDIN,  '<',  '/dev/null'     or die;
        open STDOUT, '>>', "$top/log/$log" or die;
        open STDERR, '>&', \*STDOUT        or die;
        print "\$ @command\n";
        exec 'perl', "$source/t/lib/limit.pl", $limit, @command or die;
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub log_tail
{
    my ($log) = @_;
    open my $in, '<', "$top/log/$log" or return;
    my @lines = <$in>;
    my @wrong = grep { !/^PASS/ && /error|undefined|not ok|^FAIL|^ERROR/ } @lines;
    splice @wrong, 20 if @wrong > 20;
    splice @lines, 0, @lines - 30 if @lines > 30;
    print map { "    $_" } @wrong, "    ...\n", @lines;
    print "  all of it: $top/log/$log\n";
}

# libtool can't install into a path with a blank.
sub build_folder
{
    my $dir = "$source/build-test";
    if ($dir =~ /\s/) {
        $dir = ($ENV{XDG_CACHE_HOME} // "$ENV{HOME}/.cache") . '/weir-test';
    }
    $dir = $ENV{WEIR_BUILD_DIR} // $dir;
    die "t/run: WEIR_BUILD_DIR=\"$dir\": choose a path without blanks\n"
        if $dir =~ /\s/;
    return $dir;
}

sub build
{
    my ($name) = @_;
    my $c      = $compiler{$name};
    my $dir    = "$top/$name";
    my $log    = "$name-build.log";
    local %ENV = (%ENV, %{ $c->{env} });
    unlink "$top/log/$log";
    make_path($dir);
    # A copy: autoreconf leaves nothing in the checkout, and one that was
    # configured there is no obstacle.
    logged($log, 60, $source, 'perl', "$source/t/lib/copy.pl", $source, "$top/src")
        or return fail_log($log);
    if (!-e "$top/src/configure") {
        logged($log, 300, "$top/src", 'autoreconf', '-fi') or return fail_log($log);
    }
    if (!-e "$dir/config.status") {
        logged($log, 300, $dir, "$top/src/configure", "--prefix=$dir/inst",
            @{ $c->{flags} })
            or return fail_log($log);
    }
    for my $target ('all', 'install') {
        logged($log, 600, $dir, 'make', "-j$jobs", $target)
            or return fail_log($log);
    }
    $built{$name} = 1;
    return one_passed();
}

sub fail_log { log_tail($_[0]); return note_failure($_[0]) }
sub one_passed { $passed++; return 1 }

# A build that another step needs.
sub need_build
{
    my ($name) = @_;
    return 1 if $built{$name};
    print "  ($name is not built)\n";
    return 0;
}

sub make_check
{
    my ($name) = @_;
    need_build($name) or return note_failure("$name-check");
    my $log = "$name-check.log";
    unlink "$top/log/$log";
    local %ENV = (%ENV, sanitizer_options());
    my $ok = logged($log, 600, "$top/$name", 'make', "-j$jobs", 'check');
    my ($good, $bad) = check_counts("$top/log/$log");
    $passed += $good;
    return 1 if $ok && !$bad && $good;
    log_tail($log);
    return note_failure("$name-check: $log", $bad || 1);
}

# What automake's summary says: "# PASS:  93".
sub check_counts
{
    my ($log) = @_;
    open my $in, '<', $log or return (0, 0);
    my %n = (PASS => 0, FAIL => 0, ERROR => 0, XPASS => 0);
    while (<$in>) {
        $n{$1} += $2 if /^# (PASS|FAIL|ERROR|XPASS): +(\d+)/;
        push @skips, "make check: $1" if /^SKIP: (.*)/;
    }
    return ($n{PASS}, $n{FAIL} + $n{ERROR} + $n{XPASS});
}

sub sanitizer_options
{
    return (
        ASAN_OPTIONS  => 'abort_on_error=1:detect_leaks=1',
        UBSAN_OPTIONS => 'print_stacktrace=1:halt_on_error=1',
    );
}

sub live_environment
{
    my ($build) = @_;
    return (
        sanitizer_options(),
        WEIR_BUILD  => "$top/$build",
        WEIR_PREFIX => "$top/$build/inst",
        WEIR_CACHE  => "$top/cache",
        WEIR_FETCH  => 'no',
        PERL5LIB    => "$source/t/lib",
    );
}

# Test files of a folder (or one file), through prove's machinery.
sub tests
{
    my ($build, @where) = @_;
    my @files = grep { wanted_file($_) }
        map { -d "$source/$_" ? sort glob "$source/$_/*.t" : "$source/$_" } @where;
    return 1 if !@files;
    need_build($build) or return note_failure("tests on $build");
    fetch_server('mysql-9.7') if $which ne 'servers' && grep { m{/t/live/} } @files;
    fetch_server($search_servers[0]) if $which ne 'servers' && grep { /search/ } @files;
    local %ENV = (%ENV, live_environment($build));
    my $limit   = $long ? 7200 : 600;
    my $harness = TAP::Harness->new(
        {   verbosity => 0,
            exec => [ 'perl', "$source/t/lib/limit.pl", $limit, 'perl' ],
        }
    );
    $harness->callback(
        made_parser => sub {
            my ($parser, $job) = @_;
            my $name = basename($job->[0]);
            $parser->callback(
                test => sub {
                    push @skips, "$name: " . $_[0]->explanation
                        if $_[0]->has_skip;
                    push @{ $wrong{$job->[1]} }, $_[0]->number . $_[0]->description
                        if !$_[0]->is_ok;
                }
            );
        }
    );
    my $all = $harness->runtests(
        map { [ $_, substr($_, length "$source/") ] } @files);
    return count_parsers($all);
}

# Fetches a server, once; '' or why it can't be had, which is a skip.
sub fetch_server
{
    my ($name) = @_;
    return $fetched{$name} if defined $fetched{$name};
    return $fetched{$name} = '' if $name eq 'mariadb';
    my @said = `'$source/t/servers/fetch' '$name'`;
    return $fetched{$name} = '' if !$?;
    chomp(my $why = $said[-1] // "t/servers/fetch ended with $?");
    push @skips, $why;
    return $fetched{$name} = $why;
}

# Live tests on a server that isn't the usual one.
sub on_server
{
    my ($name, $compressed, @files) = @_;
    return 1 if fetch_server($name) ne '';
    local $ENV{WEIR_SERVER} = $name . $compressed;
    return tests('gcc', map { "t/live/$_.t" } @files);
}

sub on_search
{
    my ($name) = @_;
    my ($start, $good, $bad) = (time, $passed, $failed);
    my $can = fetch_server($name) eq '';
    local $ENV{WEIR_SEARCH} = $name;
    my $ok = !$can || tests('gcc', map { "t/live/$_.t" }
        qw(90-search 91-search-rows 93-search-fields 94-search-outcomes));
    push @table, $can ? sprintf '%-18s %d passed, %d failed, %s', $name,
        $passed - $good, $failed - $bad, seconds($start)
        : sprintf '%-18s SKIP: can\'t be had, see below', $name;
    return $ok;
}

# One line of the table.
sub matrix
{
    my ($name, $files) = @_;
    my ($start, $good, $bad) = (time, $passed, $failed);
    my $ok = 1;
    $ok &= on_server($name, $_, @{ $files->{$_} }) for sort keys %$files;
    push @table, $fetched{$name} ne '' ? sprintf '%-13s SKIP: can\'t be had, see below', $name
        : sprintf '%-13s %s, %d passed, %d failed, %s', $name, version_of($name),
        $passed - $good, $failed - $bad, seconds($start);
    return $ok;
}

# As the server itself says it.
sub version_of
{
    my ($name) = @_;
    my $program = $name =~ /^mysql/ ? 'mysqld' : 'mariadbd';
    my $run = $program;
    if ($name ne 'mariadb') {
        chomp(my $tree = `'$source/t/servers/fetch' --have '$name'`);
        $run = "'$tree/run' $program";
    }
    local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
    return `$run --no-defaults --version 2>/dev/null` =~ /Ver (\S+)/ ? $1 : 'of no version';
}

sub live_replay
{
    my $fine = 1;
    for my $pair (sort keys %replayed) {
        local ($ENV{WEIR_SERVER}, $ENV{WEIR_TARGET}) = split ' ', $pair;
        next if !$long && !@{ $replayed{$pair} };
        fetch_server($_) for grep { /-/ } split ' ', $pair;
        my @files = $long
            ? grep { $pair !~ /mysql-5/ || /$for_stand_in/ }
                map { substr $_, length "$source/" } glob "$source/t/live/mysql-sink*.t"
            : map { "t/live/mysql-sink-$_.t" } @{ $replayed{$pair} };
        $fine &= tests('gcc', @files);
        local $ENV{WEIR_CONFLICT} = 'idempotent';
        $fine &= tests('gcc', 't/live/mysql-sink-types.t') if $long && $pair !~ /mysql-5/;
    }
    return $fine;
}

# The same pairs, killed.
sub fault_replay
{
    my @files = map { substr $_, length "$source/" } glob "$source/t/fault/2*-mysql-sink*.t";
    my $fine  = 1;
    for my $pair (sort keys %replayed) {
        local ($ENV{WEIR_SERVER}, $ENV{WEIR_TARGET}) = split ' ', $pair;
        fetch_server($_) for grep { /-/ } split ' ', $pair;
        $fine &= tests('gcc', @files);
    }
    return $fine;
}

sub wanted_file
{
    my ($file) = @_;
    return !defined $option{only} || only_steps() || index($file, $option{only}) >= 0;
}

sub count_parsers
{
    my ($all) = @_;
    my $fine = 1;
    for my $parser ($all->parsers($all->descriptions)) {
        $passed += () = $parser->passed;
    }
    for my $name ($all->descriptions) {
        my ($parser) = $all->parsers($name);
        push @skips, "$name: " . $parser->skip_all if $parser->skip_all;
        next if !$parser->has_problems;
        my $bad = () = $parser->failed;
        $fine = note_failure($name . what_failed($name, $parser), $bad || 1);
    }
    return $fine;
}

# In the last lines, as these are all that some keep of a run.
sub what_failed
{
    my ($name, $parser) = @_;
    my @what = @{ delete $wrong{$name} // [] };
    my $more = @what > 3 ? ', and ' . (@what - 3) . ' more' : '';
    my $on = join ' into ', grep { defined } @ENV{qw(WEIR_SERVER WEIR_TARGET)};
    $on = " on $on" if $on;
    return "$on: " . join('; ', grep { defined } @what[ 0 .. 2 ]) . $more if @what;
    return "$on: " . join '; ', $parser->parse_errors, 'it ended with ' . $parser->exit;
}

sub fuzz
{
    if (!-x "$source/t/fuzz/run") {
        push @skips, 'fuzz: t/fuzz/run is not there';
        return 1;
    }
    unlink "$top/log/fuzz.log";
    local $ENV{WEIR_BUILD_DIR} = "$top/fuzz";
    make_path("$top/fuzz");
    my $ok = logged('fuzz.log', 14400, $source, "$source/t/fuzz/run",
        fuzz_seconds());
    open my $in, '<', "$top/log/fuzz.log" or die "fuzz.log: $!\n";
    while (<$in>) {
        $passed++ if /^ok /;
        push @skips, "fuzz: $1" if /# SKIP (.*)/;
    }
    return $ok || fail_log('fuzz.log');
}

# Of each target: 20 minutes in a long run, or its share of what time is left.
sub fuzz_seconds
{
    return 20 if !$long;
    return 1200 if !$minutes;
    my @targets = glob "$source/t/fuzz/fuzz_*.c";
    my $share = (60 * $minutes - (time - $begin)) / (@targets || 1);
    return int($share > 1200 ? 1200 : $share < 20 ? 20 : $share);
}

# Prints its figures here; they are not judged.
sub bench
{
    need_build('gcc') or return note_failure('bench');
    local %ENV = (%ENV, live_environment('gcc'));
    fetch_server($search_servers[0]);
    for my $script (qw(bench.pl search.pl replay.pl guarantees.pl)) {
        system('perl', "$source/t/lib/limit.pl", 7200, 'perl', "$source/t/bench/$script") == 0
            or return note_failure("bench: $script");
    }
    return one_passed();
}

sub distcheck
{
    need_build('gcc') or return note_failure('distcheck');
    unlink "$top/log/distcheck.log";
    logged('distcheck.log', 900, "$top/gcc", 'make', "-j$jobs", 'distcheck')
        or return fail_log('distcheck.log');
    return one_passed();
}

# The time is up: as asked for it is a skip, else this run proves too little.
sub not_run
{
    my ($name) = @_;
    my $why = "$name: not run, $minutes minutes are over";
    return push @skips, $why if defined $option{budget};
    return note_failure($why);
}

sub run_steps
{
    my $wanted = defined $option{only} ? only_wanted() : undef;
    for my $step (@steps) {
        my ($name, $in, $code) = @$step;
        next if $in !~ /\b$which\b/;
        next if $wanted && !$wanted->{$name};
        if ($minutes && time - $begin > 60 * $minutes) {
            not_run($name);
            next;
        }
        my ($start, $good) = (time, $passed);
        print "== $name\n";
        my $ok = $code->();
        printf "== %s: %s (%s)\n", $name,
            !$ok ? 'FAILED' : $passed > $good ? 'passed' : 'skipped',
            seconds($start);
    }
}

# The steps of this run whose name holds --only; none: it names test files.
sub only_steps
{
    return grep { index($_, $option{only}) >= 0 }
        map { $_->[0] } grep { $_->[1] =~ /\b$which\b/ } @steps;
}

# --only: the steps it names, or those that hold the files it names, and the
# builds that they need; none: all.
sub only_wanted
{
    my @names = only_steps();
    return undef if !@names && $which eq 'servers';    # names test files
    if (!@names) {
        my %holder = map { m{t/(\w+)/[^/]*$} ? ($1 => 1) : () }
            grep { index($_, $option{only}) >= 0 }
            glob "$source/t/{lint,live,contract,reload,fault}/*.t";
        @names = keys %holder;
    }
    my %wanted = map { $_ => 1 } @names;
    for my $name (@names) {
        $wanted{"$1-build"} = 1 if $name =~ /^(clang|asan|tsan)-/;
        $wanted{'gcc-build'} = 1
            if $name !~ /^(?:clang|asan|tsan)-/ && $name ne 'fuzz';
    }
    return \%wanted;
}

if ($option{list}) {
    print map { "$_->[0]\n" } grep { $_->[1] =~ /\b$which\b/ } @steps;
    exit 0;
}
$| = 1;
make_path($top);
print "seed $seed (WEIR_SEED=$seed t/run repeats it); builds in $top\n";
run_steps();
note_failure('nothing was run') if !$passed && !$failed;
printf "took %s\n", seconds($begin);
print map { "$_\n" } @table;
my %said;
print map { "skipped: $_\n" } grep { !$said{$_}++ } @skips;
print map { "FAILED: $_\n" } @failures;
print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
