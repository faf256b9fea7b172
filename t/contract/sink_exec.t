# The exec sink: what programs answer, and what becomes of those that end, hang
# or talk nonsense.  None of them is left behind.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(time);
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;

my $dir   = tempdir(CLEANUP => 1);
my $users = 'table shop users id id:int name:text';
my $count = 0;

# A program of these lines of perl, which begins with `ready`.
sub program
{
    my ($body, %option) = @_;
    my $path = "$dir/program" . ++$count;
    open my $out, '>', $path or die;
    print {$out} "#!$^X\n", "use strict;\nuse warnings;\n\$| = 1;\n",
        "open my \$pid, '>', '$path.pid' or die; print \$pid \$\$; close \$pid;\n",
        $option{silent} ? '' : "print \"ready\\n\";\n", $body, "\n";
    close $out;
    chmod 0755, $path;
    return $path;
}

sub host
{
    my ($path, %directive) = @_;
    return Sinkhost->new('sink_exec', $dir, command => $path, format => 'row', %directive);
}

sub content
{
    my ($path) = @_;
    open my $in, '<', $path or return undef;
    local $/;
    return scalar readline $in;
}

sub is_gone
{
    my ($path) = @_;
    my $pid = content("$path.pid");
    return ok(!kill(0, $pid), 'it is gone, and was waited for');
}

# Ended, whether anybody has waited for it or not.
sub has_ended
{
    my ($pid) = @_;
    for (1 .. 2000) {
        return 1 if !kill(0, $pid) || (content("/proc/$pid/stat") // ') Z') =~ /\) Z/;
        select undef, undef, undef, 0.01;
    }
    return 0;
}

# One batch of two rows to a program; the status, the reason in $reason, what
# was said before in $said.
my ($reason, $said);
sub outcome
{
    my ($path, %directive) = @_;
    my $h  = host($path, %directive);
    my $st = $h->run('check', 'open');
    ($reason, $said) = ($h->{reason}, $h->lines);
    if ($st eq 'OK') {
        $st = $h->run($users, 'insert 1 a', 'insert 2 b', 'write 1 0 x');
        ($reason, $said) = ($h->{reason}, $h->lines);
    }
    $h->end;
    is_gone($path) if -e "$path.pid";
    return $st;
}

my $answer = 'while (<STDIN>) { next if !/^end/; print "ANSWER\n" }';
sub answering { my ($text) = @_; return program($answer =~ s/ANSWER/$text/r) }

# ---- What is said to it, and what it says
my $copy = program(<<"EOT");
open my \$log, '>>', '$dir/copy' or die;
\$log->autoflush(1);
print {\$log} "\$ENV{WEIR_SINK} \$ENV{WEIR_LANE}/\$ENV{WEIR_LANES} \@ARGV\\n";
while (<STDIN>) { print {\$log} \$_; print "ok\\n" if /^end/ }
print {\$log} "bye\\n";
EOT
my $h = host("$copy,one,two words");
is($h->run('check', 'batching'), 'OK', 'the config is good');
like($h->lines, qr/^guarantee 1\n/, 'at-least-once');
is($h->run('open', $users, 'insert 1 a', 'insert 2 b%22', 'delete 2 b', 'write 1 0 x'),
    'OK', 'a batch');
is($h->run('write 1 0 y', 'delete 1 a', 'write 1 0 y'), 'OK', 'batches without a line');
is($h->run('insert 3 c', 'tick', 'write 1 0 z'), 'OK', 'and one more');
is($h->end, 0, 'closed');
is(content("$dir/copy"), <<'EOT', 'what the program saw');
shop/test 0/1 one two words
{"id":1,"name":"a"}
{"id":2,"name":"b\""}
end 2
{"id":3,"name":"c"}
end 1
bye
EOT
is_gone($copy);
is(outcome(answering('retry the target is away')), 'RETRY', 'retry');
like($reason, qr/: the target is away$/, 'with its reason');
is(outcome(answering('retry')), 'RETRY', 'retry without one');
like($reason, qr/: no reason given$/, 'says so');
is(outcome(answering('fatal no such index')), 'FATAL', 'fatal');
like($reason, qr/: no such index$/, 'with its reason');
is(outcome(answering('reject 2 too long\nok')), 'OK', 'reject');
like($said, qr/^verdict 1 REJECT: .*: too long$/m, 'is a verdict on that event');
my $odd = host(answering('reject 1 odd\nok'));
is($odd->run('open', $users, 'delete 9 z', 'insert 1 a', 'write 1 0 x'), 'OK',
    'an event without a line before it');
like($odd->lines, qr/^verdict 1 REJECT: .*: odd$/m, 'lines are counted, not events');
$odd->end;

# ---- Many, and large: neither side waits for the other
$h = host(program(<<'EOT'));
my $n = 0;
while (<STDIN>) { $n++; print STDERR "line $n\n" if $n % 20000 == 0; next if !/^end (\d+)/;
    print map { "reject $_ because\n" } 1 .. ($1 > 5000 ? 5000 : 0); print "ok\n" }
EOT
is($h->run('open', 'bench 1 50000 4 1'), 'OK', 'many verdicts');
is(scalar(() = $h->lines =~ /^verdict/gm), 5000, 'all of them');
like($h->lines, qr{^log 1 \S+/program\d+: line 20000$}m, 'standard error is in the log');
is($h->run($users, 'insert 1 @3000000', 'write 1 0 x'), 'OK', 'a large line')
    or diag $h->{reason};
$h->end;

# ---- Programs that aren't
is(outcome("$dir/none"), 'FATAL', 'no such program');
like($reason, qr{^run \S+/none: No such file or directory$}, 'says so');
my $text = "$dir/text";
open my $out, '>', $text or die;
print {$out} "no program\n";
close $out;
is(outcome($text), 'FATAL', 'one without the right to be run');
chmod 0755, $text;
is(outcome($text), 'FATAL', 'text');
like($reason, qr/Exec format error; a script begins with #!/, 'says so');
is(host('program')->tell('check'), 'FATAL', 'a path has to be absolute');

# ---- Programs that end, hang, or talk nonsense
is(outcome(program('exit 3', silent => 1)), 'RETRY', 'one that ends at once');
like($reason, qr/has closed its output: it ended with status 3$/, 'with its status');
is(outcome(program('print STDERR "no config\n"; exit 1', silent => 1)), 'RETRY', 'and says why');
like($said, qr/^log 1 .*: no config$/m, 'in the log');
is(outcome(program('while (<STDIN>) { kill "KILL", $$ }')), 'RETRY', 'one that is killed');
like($reason, qr/it was ended by signal 9$/, 'with the signal');
is(outcome(program('print "hello\n"; sleep 100', silent => 1)), 'FATAL', 'not ready');
like($reason, qr/answered "hello" where "ready" was due/, 'is quoted');
is(outcome(program('sleep 100', silent => 1), timeout => '200ms'), 'RETRY', 'never ready');
like($reason, qr/gave no answer in time and was killed$/, 'is killed');
is(outcome(program('1 while <STDIN>; sleep 100'), timeout => '200ms', grace => '100ms'), 'RETRY',
    'no answer');
is(outcome(program('sleep 100'), timeout => '200ms', grace => '0ms'), 'RETRY',
    'one that does not read');
for my $bad ('okay', 'reject 3 x', 'reject 0 x', 'reject x', 'reject', 'reject 99999999999999999999 x',
    'ok 2', '', '\x00\x01\xff', 'OK')
{
    is(outcome(answering($bad)), 'FATAL', "the answer '$bad'");
    like($reason, qr/ answered ".*" where ok, retry WHY, reject N WHY or fatal WHY was due;/, 'is quoted');
}
is(outcome(program('print "x" x 100000; sleep 100')), 'FATAL', 'a line without end');
like($reason, qr/wrote a line of more than 8192 bytes/, 'says so');
is(outcome(program('close STDIN; sleep 100'), timeout => '200ms'), 'RETRY', 'its input closed');
$h = host(program('close STDIN; sleep 100'));
is($h->run('open', $users, 'insert 1 @1000000', 'write 1 0 x'), 'RETRY', 'in a large batch');
like($reason = $h->{reason}, qr/no longer reads its input: it was ended by signal 9$/, 'says so');
$h->end;
is(outcome(program('<STDIN>; close STDOUT; sleep 100')), 'RETRY', 'its output closed');
$h = host(program('print "ok\n"; sleep 100'), grace => '0ms');
is($h->run('open', $users, 'insert 1 @1000000', 'write 1 0 x'), 'FATAL',
    'ok before it has read the batch');
like($h->{reason}, qr/where the end of the batch was due/, 'says so') or diag $h->{reason};
$h->end;

# ---- It ends between batches, and is started again
my $once = program('while (<STDIN>) { next if !/^end/; print "ok\n"; exit 0 }');
$h = host($once);
is($h->run('open', $users, 'insert 1 a', 'write 1 0 x'), 'OK', 'one batch');
my $pid = content("$once.pid");
ok(has_ended($pid), 'after which it ends');
is($h->run('insert 2 b', 'write 1 0 y'), 'OK', 'another');
isnt(content("$once.pid"), $pid, 'by another process');
$h->end;
my $chatty = program('while (<STDIN>) { print "ok\nok\n" if /^end/ }');
$h = host($chatty);
is($h->run('open', $users, 'insert 1 a', 'write 1 0 x'), 'OK', 'one that answers twice');
$pid = content("$chatty.pid");
is($h->run('insert 2 b', 'write 1 0 y'), 'OK', 'is not believed');
like($h->lines, qr/^log 2 .* spoke unasked and was killed; it is started again/m, 'but started anew');
isnt(content("$chatty.pid"), $pid, 'for the next batch');
$h->end;

# ---- Its end
my $slow = program('$SIG{TERM} = "IGNORE"; while (<STDIN>) { print "ok\n" if /^end/ } sleep 100');
$h = host($slow, grace => '300ms');
is($h->run('open', $users, 'insert 1 a', 'write 1 0 x'), 'OK', 'one that does not end');
my $begin = time;
$h->end;
cmp_ok(time - $begin, '<', 20, 'is killed after its grace');
is_gone($slow);
my $helper = "$dir/helper";
my $parent = program(<<"EOT");
my \$helper = fork // die;
if (!\$helper) { open my \$out, '>', '$helper' or die; print \$out \$\$; close \$out; sleep 100; exit }
while (<STDIN>) { print "ok\\n" if /^end/ }
EOT
$h = host($parent);
is($h->run('open', $users, 'insert 1 a', 'write 1 0 x'), 'OK', 'one with a child of its own');
$h->end;
my $child = content($helper);
ok(has_ended($child), 'takes it along');

# ---- The programs in the README
open my $readme, '<', "$ENV{WEIR_SOURCE}/modules/sink_exec/README.md" or die;
my %example;
for my $section (split /^#+ /m, do { local $/; readline $readme }) {
    my ($name) = $section =~ /^(\w+)$/m;
    my ($code) = $section =~ /^(    #!.*)/ms or next;
    $example{$name} = $code;
}
is(join(' ', sort keys %example), 'Perl Python Shell', 'three programs');
for my $name (sort keys %example) {
    my $source = $example{$name} =~ s/^    //gmr;
    my ($interpreter) = $source =~ /^#!(\S+)/;
    SKIP: {
        skip "no $interpreter here", 2 if !-x $interpreter;
        my $path = "$dir/example-$name";
        open my $file, '>', $path or die;
        print {$file} $source;
        close $file;
        chmod 0755, $path;
        $h = host("$path,$dir/example-$name.out", format => 'weir');
        is($h->run('open', $users, 'insert 1 a', 'insert 2 b', 'write 1 0 x', 'update 2 b > 2 c',
                'delete 1 a', 'write 1 0 y'), 'OK', "$name: two batches")
            or diag $h->{reason}, $h->lines;
        $h->end;
        ok(-s "$dir/example-$name.out", 'have left something') or diag $h->lines;
    }
}
done_testing();
