#!/usr/bin/perl
# limit.pl SECONDS COMMAND... - runs a command in a process group of its own,
# ends the whole group when the command ends or the time is up, and says so.
# Exits as the command did; 124 when it took too long.
use strict;
use warnings;
use POSIX qw(setpgid WNOHANG);

my $seconds = shift;
my $pid     = fork // die "fork: $!\n";
if (!$pid) {
    setpgid(0, 0);
    exec { $ARGV[0] } @ARGV or die "exec $ARGV[0]: $!\n";
}
setpgid($pid, $pid);

my $late = 0;
$SIG{ALRM} = sub {
    $late++ ? kill("KILL", -$pid) : kill("TERM", -$pid);
    alarm 5;
};
for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { kill 'TERM', -$pid };
}
alarm $seconds;
1 while waitpid($pid, 0) == -1 && $!{EINTR};
my $status = $?;
alarm 0;
kill 'KILL', -$pid;    # whom it left behind
if ($late) {
    print STDERR "@ARGV: not done after $seconds s, ended\n";
    exit 124;
}
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
