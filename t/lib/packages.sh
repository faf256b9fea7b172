# packages.sh - what a Debian 12 needs beyond its minimum; sourced by t/run and
# contrib/quickstart.  The servers come as bare programs: none is set up or
# started on this machine (hence no mariadb-server and no redis-server: their
# programs are in mariadb-server-core and redis-tools).

BUILD_PACKAGES="autoconf automake libtool make gcc libc6-dev pkg-config perl
    libconfuse-dev libzstd-dev libdeflate-dev libmariadb-dev libhiredis-dev
    libssl-dev libcurl4-openssl-dev libyajl-dev zlib1g-dev"
SERVER_PACKAGES="mariadb-server-core mariadb-client redis-tools"
TEST_PACKAGES="$SERVER_PACKAGES g++ clang libclang-rt-dev llvm libcmocka-dev
    git xz-utils binutils procps openssl curl unzip sysbench"
# What t/servers needs for those that Debian doesn't have.
FETCH_PACKAGES="ca-certificates libaio1 libnuma1 libncurses6"

# What Elasticsearch and OpenSearch run on.
SEARCH_PACKAGES="openjdk-17-jre-headless"

# install_packages NAME...: installs those that are missing, as root; says what
# to do otherwise.
install_packages()
{
    if ! command -v dpkg-query >/dev/null; then
        echo "$0: not a Debian: assuming that you have what $* are there" >&2
        return 0
    fi
    missing=
    for package; do
        status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || :
        [ "$status" = "install ok installed" ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "$0: these packages are missing; as root:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "installing$missing"
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get -q update >/dev/null
    # shellcheck disable=SC2086
    apt-get -q -y install --no-install-recommends $missing >/dev/null
}
