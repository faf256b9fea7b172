# debian.sh - a server out of Debian's packages, with every library from the same
# suite; sourced by fetch.  Takes $name, $suite and $packages, fills $new.
#
# $WEIR_DEBIAN is the mirror to take them from; else the one that this machine's
# apt uses.

need apt-get dpkg-deb
mirror=${WEIR_DEBIAN:-}
[ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
    /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^ *#' | grep -oE 'https?://[^ ]+/debian/?( |$)' |
    head -n 1 | tr -d ' ') || :
[ -n "$mirror" ] || cannot "$name: apt has no mirror of Debian here"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e $keys ] || cannot "$name: $keys is missing"

# An apt of its own: own lists, nothing installed, so that each library comes
# from that suite.  Signatures are checked; a Release file that is past its date
# is taken, as mirrors of test machines lag.
apt=$new/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<EOT
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::Etc::preferencesparts "$apt/parts";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Debug::NoLocking "true";
EOT
APT_CONFIG=$apt/apt.conf
export APT_CONFIG

failed()
{
    why=$(grep -E '^[EW]: ' "$apt/out" | head -n 1) || :
    cannot "$name: $1: ${why:-no reason given}"
}

# shellcheck disable=SC2086
apt-get -q update >"$apt/out" 2>&1 && ! grep -q '^Err' "$apt/out" ||
    failed "apt-get update for $suite"
# shellcheck disable=SC2086
apt-get -q -y --print-uris install $packages >"$apt/uris" 2>>"$apt/out" ||
    failed "apt-get of $packages"
# Of what comes with them, libraries are needed only.
sed -n "s/^'[^']*' \([^_ ]*\)_[^ ]* \([0-9]*\).*/\1 \2/p" "$apt/uris" |
    while read -r package size; do
        case " $packages " in
        *" $package "*) echo "$package $size"; continue ;;
        esac
        case $package in
        *perl* | libdebconf* | *systemd-shared* | *apparmor*) ;;
        lib* | zlib* | tzdata) echo "$package $size" ;;
        esac
    done >"$apt/wanted"
wanted=$(cut -d ' ' -f 1 "$apt/wanted")
say "$(awk '{ n += $2 } END { printf "%d packages, %d MB", NR, n / 1e6 }' \
    "$apt/wanted") from $mirror $suite"
(
    cd "$apt/cache/archives"
    # shellcheck disable=SC2086
    apt-get -q download $wanted >>"$apt/out" 2>&1
) || failed "apt-get download"
for deb in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$new"
done
rm -rf "$apt" "$new/usr/share/doc" "$new/usr/share/man"

# Starts one of the tree's programs with the tree's own loader and libraries.
cat >"$new/run" <<'EOT'
#!/bin/sh
tree=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
for dir in usr/sbin usr/bin; do
    [ ! -e "$tree/$dir/$program" ] || file=$tree/$dir/$program
done
for dir in usr/lib64 usr/lib/x86_64-linux-gnu lib64; do
    [ ! -e "$tree/$dir/ld-linux-x86-64.so.2" ] ||
        loader=$tree/$dir/ld-linux-x86-64.so.2
done
lib=$tree/usr/lib/x86_64-linux-gnu
exec "$loader" --library-path "$lib:$tree/usr/lib/mysql/private:$lib/systemd" \
    "$file" "$@"
EOT
