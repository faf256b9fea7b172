# Server.pm - Weir itself in a test: its configuration, its processes, its log.
package Weir::Server;
use strict;
use warnings;
use File::Glob ':bsd_glob';
use Carp qw(croak);
use Time::HiRes qw(time sleep);

my $count = 0;

# config: pipelines and the like; what every test needs stands before it (see
# write_config).  globals: more lines before that.
sub new
{
    my ($class, $test, %option) = @_;
    my $name = 'weir' . ++$count;
    my $self = bless {
        test    => $test,
        name    => $name,
        dir     => $test->make_dir($name),
        prefix  => $test->{prefix},
        globals => $option{globals} // '',
    }, $class;
    $self->{log} = "$self->{dir}/weir.log";
    $self->{err} = "$self->{dir}/weir.err";
    $self->{conf} = "$self->{dir}/weir.conf";
    $self->write_config($option{config}) if defined $option{config};
    return $self;
}

sub dir   { return $_[0]{dir} }
sub state { return "$_[0]{dir}/state" }
sub conf  { return $_[0]{conf} }

sub modules
{
    my ($self) = @_;
    return map { m{([^/]+\.so)$} }
        glob "$self->{prefix}/lib/weir/modules/*.so";
}

sub write_config
{
    my ($self, $pipelines) = @_;
    my $load = join '', map { "load_module(\"$_\")\n" } $self->modules;
    $self->write_raw_config(<<"EOT");
state = "$self->{dir}/state"
pid = "$self->{dir}/weir.pid"
log = "$self->{log}"
$self->{globals}
$load
$pipelines
EOT
    return;
}

sub write_raw_config
{
    my ($self, $text) = @_;
    open my $out, '>', "$self->{conf}.new" or die "$self->{conf}: $!\n";
    print $out $text;
    close $out;
    rename "$self->{conf}.new", $self->{conf} or die "$self->{conf}: $!\n";
    return;
}

sub program { return "$_[0]{prefix}/sbin/weir" }

# Starts it and waits until none of its workers is on the way up; with a source
# that can't begin, sinks stay there.
sub start
{
    my ($self) = @_;
    $self->launch;
    Weir::wait_for(
        'start of weir',
        30,
        sub {
            die "weir did not start\n" . $self->last_words
                if $self->{test}->ended($self->{pid});
            my $status = $self->status;
            my $source = ($status->{source} // return 0)->{state};
            return 0 if $source =~ /^(?:starting|connecting)$/;
            return 1 if $source =~ /^(?:stopped|waiting)$/;
            return !grep { $_->{state} eq 'starting' } values %$status;
        }
    );
    return $self;
}

sub launch
{
    my ($self) = @_;
    $self->{pid} = $self->{test}->spawn($self->{err}, $self->program,
        '-c', $self->{conf}, '-g', 'daemon = off');
    return;
}

# weir with other arguments; exit status and what it said.
sub command
{
    my ($self, @arguments) = @_;
    my $text = $self->capture($self->program, '-c', $self->{conf}, @arguments);
    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $text);
}

# weirctl with these arguments; exit status and what it said.
sub ctl
{
    my ($self, @arguments) = @_;
    my $text = $self->capture("$self->{prefix}/sbin/weirctl", '-d',
        $self->state, @arguments);
    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $text);
}

sub capture
{
    my ($self, @command) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        $ENV{WEIR_TEST_DIR} = $self->{test}{dir};
        open STDERR, '>&', \*STDOUT or die;
        exec { $command[0] } @command or print "exec $command[0]: $!\n";
        POSIX::_exit(127);
    }
    local $/;
    my $text = readline $out;
    close $out;
    return $text // '';
}

sub status_text
{
    my ($self) = @_;
    my ($exit, $text) = $self->command('-s', 'status');
    return $text;
}

# "source" and each sink => { state, pid, lag, rows, reason, line }, of one pipeline.
sub status
{
    my ($self) = @_;
    my (%found, $last);
    for my $line (split /\n/, $self->status_text) {
        if ($line =~ /^  (\S+) +([a-z]+) +(\d+|-)  +(\S+(?: \S+)?)  +(\d+|-) /) {
            $last = $found{$1} = { state => $2, pid => $3, lag => $4,
                rows => $5, line => $line, reason => '' };
        } elsif ($last && $line =~ /^ +`- (.*)/) {
            $last->{reason} .= $1;
        }
    }
    return \%found;
}

# Waits until it is in that state; gives the reason that it says.
sub wait_state
{
    my ($self, $who, $state, $seconds) = @_;
    Weir::wait_for(
        "$who $state", $seconds // 30,
        sub { ($self->status->{$who}{state} // '') eq $state }
    );
    return $self->status->{$who}{reason};
}

# The reload's exit status and words.
sub reload
{
    my ($self, $pipelines) = @_;
    $self->write_config($pipelines) if defined $pipelines;
    return $self->command('-s', 'reload');
}

sub is_running
{
    my ($self) = @_;
    return $self->{pid} && !$self->{test}->ended($self->{pid});
}

# Drains.  The exit status has to be 0.
sub stop
{
    my ($self) = @_;
    my $pid = $self->{pid};
    kill 'QUIT', $pid;
    Weir::wait_for('end of weir', 60, sub { $self->{test}->ended($pid) });
    delete $self->{pid};
    my $status = $self->{test}->exit_status($pid);
    Test::More::is($status, 0, 'weir drained and exited with 0')
        if $status;
    return;
}

# kill -9 for the master; its workers have to notice by themselves.
sub crash
{
    my ($self) = @_;
    my $pid = $self->{pid};
    kill 'KILL', $pid;
    Weir::wait_for('end of the master', 10, sub { $self->{test}->ended($pid) });
    Weir::wait_for('end of the workers', 10, sub { !$self->processes });
    delete $self->{pid};
    return;
}

sub kill { my ($self, $signal) = @_; return CORE::kill $signal, $self->{pid} }

# ---- Its processes, by the titles that they give themselves

sub processes
{
    my ($self) = @_;
    return Weir::processes($self->{dir}, {});
}

# title => pid
sub workers
{
    my ($self) = @_;
    my %found;
    for my $pid ($self->processes) {
        my $title = Weir::read_file("/proc/$pid/cmdline") // next;
        $title =~ s/[\0 ]+$//;
        $found{$title} = $pid if $title =~ /^weir: /;
    }
    return \%found;
}

# The pid of "source shop", "sink shop/cache" or "master".
sub worker_pid
{
    my ($self, $who) = @_;
    my $all = $self->workers;
    my ($title) = grep { $_ eq "weir: $who" } keys %$all;
    return $title ? $all->{$title} : undef;
}

sub wait_worker
{
    my ($self, $who, $not) = @_;
    return Weir::wait_for(
        "a process 'weir: $who'",
        30,
        sub {
            my $pid = $self->worker_pid($who);
            return $pid && (!$not || $pid != $not) ? $pid : undef;
        }
    );
}

# kill -9 for a worker; waits for the next one.
sub crash_worker
{
    my ($self, $who) = @_;
    my $pid = $self->wait_worker($who);
    CORE::kill 'KILL', $pid;
    return $self->wait_worker($who, $pid);
}

# ---- Its log

sub lines_of
{
    my ($path) = @_;
    open my $in, '<', $path or return;
    chomp(my @lines = <$in>);
    return @lines;
}

sub log_lines { return lines_of($_[0]{log}) }
sub err_lines { return lines_of($_[0]{err}) }

# How many lines match, of those behind the first `from`.
sub log_count
{
    my ($self, $pattern, $from) = @_;
    my @lines = $self->log_lines;
    splice @lines, 0, $from if $from;
    return scalar grep { $_ =~ $pattern } @lines;
}

# Waits for a line; gives it.
sub wait_log
{
    my ($self, $pattern, %option) = @_;
    my $from = $option{from} // 0;
    return Weir::wait_for(
        "log line $pattern",
        $option{seconds} // 30,
        sub {
            my @lines = $self->log_lines;
            splice @lines, 0, $from;
            my ($line) = grep { $_ =~ $pattern } @lines;
            return $line;
        }
    );
}

sub log_mark { my @lines = $_[0]->log_lines; return scalar @lines }

sub last_words
{
    my ($self) = @_;
    return "$self->{name}:\n" . `tail -n 25 '$self->{log}' '$self->{err}' 2>&1`;
}

1;
