# The modules that need no target: null, stdout, the table filter, the columns
# transform; one call at a time.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib "$ENV{WEIR_SOURCE}/t/contract";
use Sinkhost;

my $dir = tempdir(CLEANUP => 1);
my $users = 'table shop users id id:int name:text password:text';

# ---- filter table
sub filter
{
    my (%directive) = @_;
    my $h = Sinkhost->new('filter_table', $dir, %directive);
    is($h->run('check', 'open'), 'OK', 'a filter opens');
    return $h;
}

my $h = filter(include => 'shop.*', exclude => '*.tmp_*');
is($h->tell($users), 'OK', 'a table that is included passes');
is($h->lines, '', 'and nothing more is said of it');
is($h->tell('table shop tmp_x - a:int'), 'DROP', 'exclude wins over include');
is($h->tell('table shopping x - a:int'), 'DROP', 'another database does not');
is($h->end, 0, 'the host ends well');

$h = filter(operations => 'insert,delete');
is($h->tell($users), 'OK', 'all tables pass without include');
my ($ops) = $h->lines =~ /^ops (\d+)$/;
my %bit = (insert => 0, update => 1, delete => 2, snapshot => 3,
    truncate => 6, ddl => 7);
ok($ops & 1 << $bit{$_}, "$_ passes") for qw(insert delete snapshot truncate ddl);
ok(!($ops & 1 << $bit{update}), 'update does not');
$h->end;

$h = Sinkhost->new('filter_table', $dir, operations => 'insert,upsert');
is($h->tell('check'), 'FATAL', 'an unknown operation is refused');
is($h->{reason}, 'operations: there is no "upsert": they are insert, update, '
    . 'delete', 'and named');
$h->end;
$h = Sinkhost->new('filter_table', $dir, exclude => 'users');
is($h->tell('check'), 'FATAL', 'a glob that matches no table is refused');
like($h->{reason}, qr/^exclude: "users" matches no table: .*"\*\.users"$/,
    'with what to write');
$h->end;

# ---- transform columns
sub columns
{
    my (%directive) = @_;
    my $t = Sinkhost->new('transform_columns', $dir, %directive);
    is($t->run('check', 'open'), 'OK', 'a transform opens');
    return $t;
}

$h = columns(drop => '*.password', rename => 'shop.users.name:full_name');
is($h->tell($users), 'OK', 'columns are dropped and renamed');
is($h->lines, "keep 0 id\nkeep 1 full_name", 'by number and new name');
is($h->tell('table shop x - password:text'), 'REJECT', 'none left is refused');
like($h->{reason}, qr/leave no column of shop\.x; name one in keep/, 'named');
$h->end;
$h = columns(keep => 'shop.users.id,shop.users.password', drop => '*.password');
is($h->tell($users), 'OK', 'keep and drop together');
is($h->lines, 'keep 0 id', 'drop wins');
$h->end;
$h = columns(rename => '*.name:id');
is($h->tell($users), 'REJECT', 'two columns of one name are refused');
like($h->{reason}, qr/makes two columns "id" in shop\.users/, 'named');
$h->end;
$h = Sinkhost->new('transform_columns', $dir, drop => 'password');
is($h->tell('check'), 'FATAL', 'a glob that matches no column is refused');
$h->end;

# ---- sink null
$h = Sinkhost->new('sink_null', $dir);
is($h->run('batching', 'open', $users), 'OK', 'null opens');
like($h->lines, qr/^use none$/, 'and wants no column decoded');
is($h->run('insert 1 Ada x', 'insert 2 Bob y', 'write 1 0 a'), 'OK', 'it takes');
is($h->lines, "count events 2\ncount bytes 0", 'and counts');
$h->end;
$h = Sinkhost->new('sink_null', $dir, format => 'row');
is($h->run('open', $users, 'insert 1 Ada x', 'write 1 0 a'), 'OK',
    'with a format');
my $row = '{"id":1,"name":"Ada","password":"x"}';
is($h->lines, "count events 1\ncount bytes " . (1 + length $row),
    'events are rendered');
$h->end;

# ---- sink stdout
$h = Sinkhost->new('sink_stdout', $dir, format => 'row');
is($h->run('open', $users, 'insert 1 Ada x', 'delete 1 Ada x',
        'insert 2 B%0ab y', 'write 1 0 a'), 'OK', 'stdout writes');
is($h->lines, "$row\n" . '{"id":2,"name":"B\nb","password":"y"}',
    'a line for each row that there is');
$h->end;

# A reader that has gone away: a sentence, not a signal.
pipe(my $read, my $write) or die "pipe: $!";
close $read;
open my $script, '>', "$dir/script" or die;
print {$script} map { "$_\n" } 'open', $users, 'insert 1 Ada x', 'write 1 0 a',
    'close';
close $script;
my $pid = fork // die "fork: $!";
if (!$pid) {
    open STDIN,  '<',  "$dir/script"  or die;
    open STDOUT, '>&', $write         or die;
    open STDERR, '>',  "$dir/answers" or die;
    $SIG{PIPE} = 'DEFAULT';
    $ENV{SINKHOST_STDERR} = 1;
    exec Sinkhost::host_program(), Sinkhost::module_path('sink_stdout'), $dir
        or die;
}
waitpid $pid, 0;
is($?, 0, 'a closed pipe ends nobody');
open my $in, '<', "$dir/answers" or die;
my @answers = <$in>;
like($answers[3],
    qr/^= FATAL: write to standard output: whoever read it has closed it/,
    'it is fatal, and said');
is($answers[4], "= OK\n", 'and the host lives on');
done_testing();
