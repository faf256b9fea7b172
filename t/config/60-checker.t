# The checker as `weir -t` and `-T` run it, with the modules that are built
# here; and the configurations that are shipped.
use strict;
use warnings;
use File::Glob ':bsd_glob';

use File::Copy 'copy';
use File::Temp 'tempdir';
use FindBin;
use Test::More;

my $build  = $ENV{WEIR_BUILD}  // "$FindBin::Bin/../..";
my $source = $ENV{WEIR_SOURCE} // "$FindBin::Bin/../..";

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/modules", 0755;
for my $so (glob "$build/.libs/*.so") {
    my ($name) = $so =~ m{([^/]+)$};
    copy($so, "$dir/modules/$name") or die "$so: $!\n";
    chmod 0755, "$dir/modules/$name";
}
$ENV{WEIR_MODULE_DIR} = "$dir/modules";

sub weir
{
    my (@args) = @_;
    open my $in, '-|', "exec '$build/weir' " . join(' ', @args) . ' 2>&1'
        or die "weir: $!\n";
    local $/;
    my $said = <$in>;
    close $in;
    $said =~ s/\Q$dir\E/DIR/g;
    return ($?, $said);
}

sub config
{
    my ($text) = @_;
    open my $out, '>', "$dir/weir.conf" or die "$dir/weir.conf: $!\n";
    print $out $text;
    close $out;
    return;
}

# What is shipped is fine, as far as its modules could be built.
for my $conf ("$source/conf/weir.conf", glob "$source/conf/examples/*.conf") {
    open my $in, '<', $conf or die "$conf: $!\n";
    my $text = do { local $/; <$in> };
    my ($name) = $conf =~ m{([^/]+)$};
    my @missing = grep { !-e "$dir/modules/$_" }
        $text =~ /^load_module\("(.*)"\)/mg;
  SKIP: {
        skip "$name: without @missing", 2 if @missing;
        my ($status, $said) =
            weir('-c', "'$conf'", '-g', qq('state = "$dir/state"'), '-t');
        is($status, 0, "$name is fine");
        my $sinks = () = $text =~ /^\s*sink \w+ \{/mg;
        my $lines = () = $said =~ /^sink .*-once, causal per (?:key|transaction); /mg;
        is($lines, $sinks, "$name: what each sink guarantees") or diag $said;
    }
}

my $pipeline = <<'EOT';
load_module("source_binlog.so") load_module("sink_null.so")
pipeline p { source { binlog { path = "/nonexistent" } } sink a { null { } } }
EOT

config(qq(state = "$dir/state"\n$pipeline));
my ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
is($status, 0, '-t is content');
is($said, <<'EOT', '-t says that it is, and what sinks guarantee');
weir: configuration DIR/weir.conf is fine
sink p/a: at-most-once, causal per key; checkpoint kept here; readers can see part of a transaction
EOT
ok(!-e "$dir/state", '-t makes no state directory');

($status, $said) = weir('-c', "$dir/weir.conf", '-T', '2>/dev/null');
like($said, qr/^#line 1 "DIR\/weir\.conf"$/m, '-T prints the text, with marks');
like($said, qr/^pipeline p \{/m, '-T prints the text as it was');

config(qq(state = "$dir/weir.conf/state"\n$pipeline));
($status, $said) = weir('-c', "$dir/weir.conf", '-t');
isnt($status, 0, 'a state directory below a file');
like($said, qr/^weir: .*state = "DIR\/weir\.conf\/state": stat .*: Not a directory$/m,
    'a state directory below a file is said');
like($said, qr/^weir: configuration DIR\/weir\.conf has 1 error$/m,
    'errors are counted');

for my $which (qw(log pid)) {
    config(qq(state = "$dir/state"\n$which = "$dir/none/weir.$which"\n$pipeline));
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    isnt($status, 0, "$which in a folder that is not there");
    like($said, qr/$which = "DIR\/none\/weir\.$which": its folder has to be there first: No such file/,
        '... is said');
}
config(qq(state = "$dir/state"\npid = "$dir/state/weir.pid"\n$pipeline));
($status) = weir('-c', "$dir/weir.conf", '-t');
is($status, 0, 'the state folder will be made');

# Files that workers read: a warning, since they may yet be made.
SKIP: {
    skip 'no sink redis here', 5 if !-e "$dir/modules/sink_redis.so";
    my $with = $pipeline =~ s/sink_null/sink_redis/r
        =~ s/null \{ \}/redis { key = "t:{id}"\n password_file = "$dir\/pw" }/r;
    config(qq(state = "$dir/state"\n$with));
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    is($status, 0, 'a password file that is not there is no error') or diag $said;
    like($said, qr/^weir: DIR\/weir\.conf:4: warning: password_file: uid $>, as whom workers run, can't read DIR\/pw: No such file/m,
        'but said, at its line');
    open my $pw, '>', "$dir/pw" or die "$dir/pw: $!\n";
    close $pw;
    chmod 0600, "$dir/pw";
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    unlike($said, qr/warning/, 'one that is there is not');
    skip 'needs root', 2 if $> != 0;
    config(qq(user = nobody\nstate = "$dir/state"\n$with));
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    is($status, 0, 'one of root\'s alone is no error');
    like($said, qr/warning: password_file: uid [1-9]\d*, .* can't read DIR\/pw: Permission denied/,
        'but said: it is read as the user');
}

config(qq(user = no-such-user\nstate = "$dir/state"\n$pipeline));
SKIP: {
    skip 'needs root', 4 if $> != 0;
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    isnt($status, 0, 'a user that is not there');
    like($said, qr/user = "no-such-user": there is no such user here/,
        'a user that is not there is said');

    # Root reads the file; as nobody the folder can't be written.
    mkdir "$dir/owned", 0755;
    config(qq(user = nobody\nstate = "$dir/owned"\n$pipeline));
    chmod 0600, "$dir/weir.conf";
    ($status, $said) = weir('-c', "$dir/weir.conf", '-t');
    isnt($status, 0, 'a state directory that the user can\'t write');
    like($said, qr/state = "DIR\/owned": user \d+ can't write in DIR\/owned: /,
        'the file is read as root, all else is done as the user');
}
done_testing();
