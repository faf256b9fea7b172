# Each header compiles alone: public ones as C11, C++17 and C++20, private ones
# as the server's own C.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $source = source_dir();
my @warn   = qw(-Wall -Wextra -Werror -fsyntax-only);
my $cc     = $ENV{CC}  // 'cc';
my $cxx    = $ENV{CXX} // 'c++';

# Compiles a file of one #include from standard input; the compiler's words.
sub compile_alone
{
    my ($header, $compiler, $language, @flags) = @_;
    my $command = join ' ', $compiler, "-x$language", @warn, @flags,
        map { "'$_'" } "-I$source/core/include", "-I$source/core",
        '-I' . build_dir();
    return `printf '#include "%s"\nextern int unused;\n' '$header' | $command - 2>&1`;
}

for my $file (project_files(qr{^core/include/weir/.*\.h$})) {
    my ($name) = $file =~ m{^core/include/(.*)};
    is(compile_alone($name, $cc, 'c', '-std=c11', '-pedantic'),
        '', "$name alone, C11");
    is(compile_alone($name, $cxx, 'c++', "-std=$_"), '', "$name alone, $_")
        for 'c++17', 'c++20';
}
my @bad;
for my $file (project_files(qr{^core/(?!include/).*\.h$})) {
    my ($name) = $file =~ m{^core/(.*)};
    my $said = compile_alone($name, $cc, 'c', '-std=gnu11', '-D_GNU_SOURCE',
        '-Wno-unused-function');
    push @bad, "$name: $said" if $said ne '';
}
is_deeply(\@bad, [], 'each private header compiles alone');
done_testing();
