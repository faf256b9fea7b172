#!/bin/sh
# directives.sh WEIR PAGE MODULE.la... - weir.conf(5): PAGE, with what the
# server and each module say of their directives in place of its line
# @DIRECTIVES@.
set -eu
weir=$1
page=$2
shift 2

# As it is: no line may begin with a dot, no backslash mean anything.
literal()
{
    echo .nf
    sed -e 's/\\/\\e/g' -e "s/^\\([.']\\)/\\\\\\&\\1/" -e 's/-/\\-/g'
    echo .fi
}

sed '/^@DIRECTIVES@$/,$d' "$page"
for block in global pipeline relay sink retry breaker; do
    said=$("$weir" -h "$block")
    printf '.SH "%s"\n' "$(echo "$block" | tr a-z A-Z)"
    printf '%s\n' "$said" | literal
done
for module; do
    module=${module%.la}
    said=$("$weir" -h "$module.so")
    printf '.SH "MODULE %s"\n' "$module"
    printf '%s\n' "$said" | literal
done
sed '1,/^@DIRECTIVES@$/d' "$page"
