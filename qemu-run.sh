#!/usr/bin/env bash
# The one door to Vellum: makes sure there is a Rust toolchain, builds the host tool and becomes it.
# Everything else, QEMU included, is the tool's: see tests/src. `./qemu-run.sh --help` tells more.
#
# Plain enough for the bash 3.2 of macOS.
set -eu

root=$(cd "$(dirname "$0")" && pwd)
missing_tool=105

say() {
    echo "vellum: $*" >&2
}

fail() {
    say "$*"
    exit $missing_tool
}

# Prints "yes" if --install is among the script's own options: not behind `run PROG`.
wants_install() {
    seen_run=no
    for word in "$@"; do
        case $word in
        --install) echo yes && return ;;
        run) seen_run=yes ;;
        -*) ;;
        *) [ $seen_run = no ] || break ;;
        esac
    done
    echo no
}

# Prints a value of rust-toolchain.toml: words, without quotes, commas and brackets.
toolchain_file() {
    sed -n "s/^$1 *= *//p" "$root/rust-toolchain.toml" | tr -d '"[]' | tr ',' ' '
}

channel=$(toolchain_file channel | tr -d ' ')

# Whether there is a C linker, for programs of the host.
linker_is_there() {
    command -v cc >/dev/null
}

# Whether there is rustup, or another cargo that is new enough.
cargo_is_there() {
    command -v rustup >/dev/null && return 0
    command -v cargo >/dev/null || return 1
    wanted=$(echo "$channel" | cut -d. -f2)
    found=$(cargo --version | cut -d. -f2)
    [ "$found" -ge "$wanted" ]
}

# Prints the Debian packages that bring a toolchain. Where rustup is not packaged (Debian 12), the
# compiler that builds the distribution's browsers is new enough; the tool builds the bare-metal
# library from its source.
rust_packages() {
    if apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        echo rustup
    else
        echo rustc-web cargo-web rust-web-src lld
    fi
}

packages() {
    linker_is_there || echo gcc libc6-dev
    cargo_is_there || rust_packages
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

# Installs what is missing with apt-get, or says how to.
set_up_debian() {
    as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo "
    apt_get="${as_root}env DEBIAN_FRONTEND=noninteractive apt-get"
    install="$apt_get install --yes --no-remove --no-install-recommends"
    if [ "$1" = no ]; then
        say "a Rust toolchain or a C linker is missing; run: ./qemu-run.sh --install"
        fail "it runs: $apt_get update && $install $(packages | tr '\n' ' ')"
    fi
    [ -z "$as_root" ] || command -v sudo >/dev/null || fail "installing needs root or sudo"
    say "updating the package lists"
    $apt_get update -q || fail "apt-get update failed; it says why above"
    chosen=$(packages | tr '\n' ' ')
    say "installing $chosen"
    $install $chosen || fail "apt-get install failed; it says why above"
}

# Makes sure that there are cargo and a C linker.
set_up_rust() {
    linker_is_there && cargo_is_there && return
    if command -v apt-get >/dev/null; then
        set_up_debian "$1"
    elif ! linker_is_there; then
        fail "a C linker (cc) is missing: install gcc or clang (macOS: xcode-select --install)"
    else
        fail "Rust $channel or newer is missing: install rustup (macOS: brew install rustup)"
    fi
}

# Makes sure that rustup has the toolchain with everything that rust-toolchain.toml names: rustup
# may be told not to do so by itself. This changes nothing but rustup's own directory.
set_up_toolchain() {
    command -v rustup >/dev/null || return 0
    arguments=
    there=$(rustup component list --toolchain "$channel" --installed 2>/dev/null) || there=
    complete=yes
    for component in $(toolchain_file components); do
        arguments="$arguments --component $component"
        echo "$there" | grep -q "^$component" || complete=no
    done
    for target in $(toolchain_file targets); do
        arguments="$arguments --target $target"
        echo "$there" | grep -qx "rust-std-$target" || complete=no
    done
    [ $complete = no ] || return 0
    say "installing Rust $channel with rustup"
    rustup toolchain install "$channel" --profile minimal $arguments >&2 ||
        fail "rustup failed; it says why above"
}

# Builds the tool into a directory of its own: silently, unless it is the first time and slow. It is
# not optimised, as that would take longer than the tool ever runs.
build_tool() {
    quiet=--quiet
    [ -x "$1/debug/vellum" ] || { quiet= && say "building the host tool"; }
    (
        cd "$root" &&
            cargo build $quiet --package vellum-tests --bin vellum --target-dir "$1" \
                --config profile.dev.opt-level=0 --config profile.dev.debug=false </dev/null >&2
    ) || fail "the host tool does not build; cargo says why above"
}

PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
set_up_rust "$(wants_install "$@")"
set_up_toolchain

tool=${CARGO_TARGET_DIR:-target}/tool
case $tool in
/*) ;;
*) tool=$root/$tool ;;
esac
build_tool "$tool"
VELLUM_ROOT=$root exec "$tool/debug/vellum" "$@"
