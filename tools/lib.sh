# SPDX-License-Identifier: MIT
# Shell functions shared by ./quickstart, ./test and tools/: messages, Debian packages, the build.
# Source it from bash with the repository's root as the current folder.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# What building needs, what the guests need, what the tests need on top.
BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libslirp-dev libnftables-dev libjansson-dev libedit-dev libseccomp-dev libzydis-dev libcmocka-dev"
GUEST_PACKAGES="busybox-static cpio gzip kmod xz-utils"
TEST_PACKAGES="bsdutils procps iproute2 nftables clang libclang-rt-14-dev clang-format mmdebstrap e2fsprogs acpica-tools python3 gdb"
# What bench/run compares with; no test needs it.
BENCH_PACKAGES="qemu-system-x86"

missing_packages() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" = "ii " ] || printf '%s ' "$p"
    done
}

# Installs what is missing, as root or through sudo; the only step that needs either.
need_packages() {
    local missing root=
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "these Debian packages are missing and there is no apt-get: $missing"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "run once as root: apt-get install $missing"
        root=sudo
    fi
    say "Installing Debian packages: $missing"
    $root apt-get update -qq || die "apt-get update failed: is the package archive reachable?"
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
        die "could not install: $missing"
}

# build_droste DIR [meson options]
build_droste() {
    local dir=$1 log
    shift
    log=$dir/build.log
    if [ ! -f "$dir/build.ninja" ]; then
        mkdir -p "$dir"
        meson setup "$dir" "$@" >"$log" 2>&1 || { tail -20 "$log" >&2; die "meson setup failed (whole log: $log)"; }
    fi
    ninja -C "$dir" >"$log" 2>&1 || { grep -E -A6 'error|FAILED' "$log" | head -40 >&2; die "the build failed (whole log: $log)"; }
}
