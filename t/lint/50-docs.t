# What documents owe the code: each directive of a module stands in its README,
# each example is installed, each command of weirctl's is in its page and its
# completion.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $source = source_dir();

for my $readme (project_files(qr{^modules/\w+/README\.md$})) {
    my ($module) = $readme =~ m{^modules/(\w+)/};
    next if $module !~ /^(?:source|filter|transform|sink)_/;
    my @names;
    for my $file (project_files(qr{^modules/$module/.*\.c$})) {
        push @names, slurp("$source/$file") =~ /^\s+WEIR_(?:STR|LIST|MAP|BOOL|INT
            |CHOICE|SIZE|MSEC|TEMPLATE|FORMAT)\([^,]+,\s*(\w+)/gmx;
    }
    my $text    = slurp("$source/$readme");
    my @missing = grep { $text !~ /`$_`/ } @names;
    is("@missing", '', "$readme has all of its directives");
}

my $listed = slurp("$source/t/config/config.am");
is_deeply([ grep { $listed !~ /\Q$_\E/ } project_files(qr{^conf/examples/}) ],
    [], 'each example is installed');

my $program  = slurp("$source/core/tools/weirctl.c");
my @commands = $program =~ /^    \{ "(\w+)", "/gm;
cmp_ok(scalar @commands, '>=', 12, 'the commands of weirctl');
my $page       = slurp("$source/conf/man/weirctl.8");
my $completion = slurp("$source/contrib/completion/weirctl");
my ($complete) = $completion =~ /local commands="(.*)"/;
is($complete, "@commands", 'the completion has them');
is_deeply([ grep { $page !~ /^\.B.*\b$_\b/m } @commands ], [],
    'so has the manual page');
done_testing();
