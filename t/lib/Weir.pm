# Weir.pm - a live test: a folder of its own, servers of its own, a Weir
# between them, and what every test asserts at its end without saying so: no
# error line that it did not announce, nothing from a sanitizer, no process
# left.  A guard process ends all that the test started and removes its folder
# even if the test is killed.
package Weir;
use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter;
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(setpgid setsid WNOHANG);
use Test::More;
use Time::HiRes qw(time sleep);
use Weir::Mariadb;
use Weir::Fetched;
use Weir::Mysql;
use Weir::Redis;
use Weir::Search;
use Weir::Server;

our $Slow = ($ENV{WEIR_BUILD} // '') =~ /asan/ ? 4 : 1;

sub import
{
    my ($class) = @_;
    strict->import;
    warnings->import;
    no strict 'refs';
    my $to = caller;
    *{"${to}::$_"} = \&{"Weir::$_"} for qw(wait_for seed long_run);
    *{"${to}::$_"} = \&{"Test::More::$_"}
        for qw(ok is isnt like unlike cmp_ok is_deeply pass fail diag note plan);
    return;
}

# ---- Small things for tests

sub seed     { return $ENV{WEIR_SEED} //= int rand 1_000_000_000 }
sub long_run { return $ENV{WEIR_LONG} ? 1 : 0 }

# Asks again until the answer is true; gives the answer.  Dies with the
# sentence when the time is up: what follows would mean nothing.
sub wait_for
{
    my ($what, $seconds, $code) = @_;
    my $end = time + $seconds * $Slow;
    while (1) {
        my $answer = $code->();
        return $answer if $answer;
        croak "$what: not within $seconds s" if time > $end;
        sleep 0.02;
    }
}

sub free_port
{
    my $socket = IO::Socket::INET->new(
        Listen    => 1,
        LocalAddr => '127.0.0.1',
        LocalPort => 0
    ) or die "no free port: $!\n";
    return $socket->sockport;
}

sub find_program
{
    my (@names) = @_;
    for my $name (@names) {
        for my $dir (split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/usr/bin') {
            return "$dir/$name" if -x "$dir/$name";
        }
    }
    return undef;
}

# ---- The context

my $current;

sub new
{
    my ($class) = @_;
    my $prefix = $ENV{WEIR_PREFIX};
    plan(skip_all => 'WEIR_PREFIX names no installed weir; use t/run')
        if !$prefix || !-x "$prefix/sbin/weir";
    my $self = bless {
        dir     => abs_path(tempdir('weir-test-XXXXXX', TMPDIR => 1)),
        prefix  => $prefix,
        servers => [],
        expect  => [],
        pid     => $$,
        pgrps   => {},
    }, $class;
    chmod 0755, $self->{dir};    # servers run as other users
    srand(seed());
    diag 'seed ' . seed() . " for $0" if $ENV{WEIR_VERBOSE};
    $self->start_guard;
    return $current = $self;
}

sub dir { return $_[0]{dir} }

sub make_dir
{
    my ($self, $name) = @_;
    make_path("$self->{dir}/$name");
    return "$self->{dir}/$name";
}

sub mariadb
{
    my ($self, %option) = @_;
    find_program('mariadbd')
        or plan(skip_all => 'no MariaDB here: mariadbd is not installed');
    my $db = Weir::Mariadb->new($self, %option);
    push @{ $self->{servers} }, $db;
    return $db;
}

# One of t/servers; skips the test where it can't be had.
sub fetched
{
    my ($self, $class, %option) = @_;
    my $name = $option{server};
    $ENV{WEIR_SOURCE} or plan(skip_all => 'WEIR_SOURCE is not set; use t/run');
    eval { Weir::Fetched::fetch($ENV{WEIR_SOURCE}, $name) } or do {
        chomp(my $why = $@);
        $self->finish;
        plan(skip_all => "no $name here: $why");
    };
    my $db = $class->new($self, %option);
    push @{ $self->{servers} }, $db;
    return $db;
}

# WEIR_SERVER is the database that the suite is run on: `mariadb` (default), this
# machine's own; `mysql`, the newest of t/servers; or a name there.  With -zstd or
# -zlib behind it its transactions or rows are compressed.
sub wanted_server
{
    my ($name, $compressed) = ($ENV{WEIR_SERVER} // 'mariadb') =~ /^(.*?)(-zstd|-zlib)?$/;
    $name = 'mysql-9.7' if $name eq 'mysql';
    return (server => $name, compressed => defined $compressed);
}

# The MySQL that is wanted, else the newest.
sub mysql
{
    my ($self, %option) = @_;
    my %wanted = wanted_server();
    %wanted = (server => 'mysql-9.7') if $wanted{server} !~ /^mysql-/;
    return $self->fetched('Weir::Mysql', %wanted, %option);
}

sub database
{
    my ($self, %option) = @_;
    my %wanted = wanted_server();
    return $self->mysql(%option) if $wanted{server} =~ /^mysql-/;
    return $self->mariadb(%wanted, %option) if $wanted{server} eq 'mariadb';
    return $self->fetched('Weir::Fetched', %wanted, %option);
}

sub redis
{
    my ($self, %option) = @_;
    find_program('redis-server', 'redis-check-rdb')
        or plan(skip_all => 'no Redis here: redis-server is not installed');
    my $redis = Weir::Redis->new($self, %option);
    push @{ $self->{servers} }, $redis;
    return $redis;
}

# Elasticsearch or OpenSearch; skips the test where it can't be had.
sub search
{
    my ($self, %option) = @_;
    $ENV{WEIR_SOURCE} or plan(skip_all => 'WEIR_SOURCE is not set; use t/run');
    -e "$self->{prefix}/lib/weir/modules/sink_elasticsearch.so" or do {
        $self->finish;
        plan(skip_all => 'sink_elasticsearch was not built');
    };
    my $name = $option{name} // $ENV{WEIR_SEARCH} // 'opensearch-2.19';
    eval { Weir::Search::fetch($ENV{WEIR_SOURCE}, $name) } or do {
        chomp(my $why = $@);
        $self->finish;
        plan(skip_all => "no $name here: $why");
    };
    my $search = Weir::Search->new($self, %option);
    push @{ $self->{servers} }, $search;
    return $search;
}

sub weir
{
    my ($self, %option) = @_;
    my $weir = Weir::Server->new($self, %option);
    unshift @{ $self->{servers} }, $weir;    # stops before its databases
    return $weir;
}

# An error line that is part of the test.
sub expect_log
{
    my ($self, @patterns) = @_;
    push @{ $self->{expect} }, @patterns;
    return;
}

# ---- Processes

# Starts a program in a process group of its own; what it prints goes to a
# file.  `name` is what argv[0] shall be.
sub spawn
{
    my ($self, $out, $program, @arguments) = @_;
    my $name = (split m{/}, $program)[-1];
    $name = 'redis-server' if $name eq 'redis-check-rdb';
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgid(0, 0);
        $ENV{WEIR_TEST_DIR} = $self->{dir};
        open STDIN,  '<',  '/dev/null' or die;
        open STDOUT, '>>', $out        or die "$out: $!";
        open STDERR, '>&', \*STDOUT    or die;
        exec {$program} $name, @arguments
            or print STDERR "exec $program: $!\n";
        POSIX::_exit(127);
    }
    setpgid($pid, $pid);
    $self->{pgrps}{$pid} = 1;
    syswrite $self->{guard}, "$pid\n";
    return $pid;
}

# Whether a child has ended; its wait status is kept.
sub ended
{
    my ($self, $pid) = @_;
    return 1 if exists $self->{status}{$pid};
    return 0 if waitpid($pid, WNOHANG) != $pid;
    $self->{status}{$pid} = $?;
    return 1;
}

sub exit_status { return $_[0]{status}{ $_[1] } }

# Processes that the test started, or that those did: by process group and by
# the environment; a Weir, whose workers leave both behind, by the files that
# it has open below the test's folder.
sub processes
{
    my ($dir, $pgrps) = @_;
    my @found;
    for my $path (glob '/proc/[0-9]*') {
        my ($pid) = $path =~ /(\d+)$/;
        next if $pid == $$;
        my $stat = read_file("$path/stat") // next;
        my ($state, $pgrp) = $stat =~ /^\d+ \(.*\) (\S) \d+ (\d+)/s or next;
        next if $state eq 'Z';
        push @found, $pid
            if $pgrps->{$pgrp}
            || index(read_file("$path/environ") // '', "WEIR_TEST_DIR=$dir\0") >= 0
            || is_weir_in($path, $dir);
    }
    return @found;
}

sub is_weir_in
{
    my ($path, $dir) = @_;
    my $program = readlink "$path/exe" // '';
    return 0 if $program !~ m{/weir(?: \(deleted\))?$};
    return 0 != grep { index(readlink($_) // '', "$dir/") == 0 } glob "$path/fd/*";
}

sub read_file
{
    my ($path) = @_;
    open my $in, '<:raw', $path or return undef;
    local $/;
    return scalar readline $in;
}

# The innermost first.
sub mounts_below
{
    my ($dir) = @_;
    my @paths = map { (split ' ')[1] } split /\n/, read_file('/proc/self/mounts') // '';
    return reverse grep { index($_, "$dir/") == 0 } @paths;
}

# Waits on the other end of a pipe for the test to end, however it ends.
sub start_guard
{
    my ($self) = @_;
    pipe(my $read, my $write) or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setsid();
        close $write;
        $SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        my %pgrps;
        while (my $line = readline $read) {
            $pgrps{$1} = 1 if $line =~ /^(\d+)$/;
        }
        for (1 .. 50) {
            my @left = processes($self->{dir}, \%pgrps) or last;
            kill 'KILL', @left;
            sleep 0.05;
        }
        system 'umount', '-l', $_ for mounts_below($self->{dir});
        remove_tree($self->{dir}) if !$ENV{WEIR_KEEP};
        POSIX::_exit(0);
    }
    close $read;
    $write->autoflush(1);
    $self->{guard}     = $write;
    $self->{guard_pid} = $pid;
    return;
}

# ---- The end

# Stops everything and makes the assertions that every test makes.
sub done
{
    my ($self) = @_;
    for my $server (@{ $self->{servers} }) {
        $server->stop if $server->is_running;
    }
    $self->check_logs;
    my @left;
    eval {
        wait_for('processes end', 5,
            sub { @left = processes($self->{dir}, $self->{pgrps}); !@left });
    };
    is(join("\n", map { command_of($_) } @left), '', 'no process is left');
    $self->finish;
    Test::More::done_testing();
    return;
}

sub command_of
{
    my ($pid) = @_;
    my $line = read_file("/proc/$pid/cmdline") // '';
    $line =~ tr/\0/ /;
    return "$pid $line";
}

sub check_logs
{
    my ($self) = @_;
    my (@errors, @sanitizer);
    for my $server (grep { $_->isa('Weir::Server') } @{ $self->{servers} }) {
        for my $line ($server->log_lines) {
            next if $line !~ /^\S+ error |"level":"error"/;
            push @errors, $line if !grep { $line =~ $_ } @{ $self->{expect} };
        }
        push @sanitizer, grep {
            /(?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/
        } $server->log_lines, $server->err_lines;
    }
    is(join("\n", @errors),    '', 'no error line that was not announced');
    is(join("\n", @sanitizer), '', 'nothing from a sanitizer');
    return;
}

# Stops everything and asserts nothing.
sub close_all
{
    my ($self) = @_;
    for my $server (@{ $self->{servers} }) {
        eval { $server->stop } if $server->is_running;
    }
    $self->finish;
    return;
}

sub finish
{
    my ($self) = @_;
    close $self->{guard} or 1;
    waitpid $self->{guard_pid}, 0;
    undef $current;
    return;
}

# A test that died: what its servers said last.
END {
    if ($current && $current->{pid} == $$) {
        my $status = $?;
        for my $server (@{ $current->{servers} }) {
            diag $server->last_words;
        }
        $current->finish;
        $? = $status || 1;
    }
}

1;
