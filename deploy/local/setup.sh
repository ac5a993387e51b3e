#!/bin/sh
# First-time set-up, asked by every door of the Makefile: `setup.sh python` makes .venv, `setup.sh stack` also sees to
# Java and Maven. A finished step leaves a stamp, so that the next time costs milliseconds. Nothing is asked; whatever
# is downloaded comes through pip, uv, Maven and apt as this machine has them configured.
set -eu
cd "$(dirname "$0")/../.."

LOCK=requirements/dev.txt
BOOTSTRAP=requirements/bootstrap.txt
STAMP=.venv/stamp-python

say() { printf 'kaipiao: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

as_root_install() {
    command -v apt-get >/dev/null 2>&1 || fail "install $* with this system's own means and type it again"
    is_root || fail "type: sudo apt-get install -y --no-install-recommends $*"
    say "installing $*"
    log=$(mktemp)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        </dev/null >"$log" 2>&1 || fail "apt-get could not install $* (see $log): install it and type it again"
    rm -f "$log"
}

find_python() {
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

new_venv() {
    python=$(find_python)
    [ -n "$python" ] || fail "no Python 3.11 or newer found: install one (Debian: apt-get install -y python3 python3-venv)"
    "$python" -m venv --clear .venv >/dev/null 2>&1 && return
    "$python" -c 'import ensurepip' >/dev/null 2>&1 \
        && fail "cannot make $(pwd)/.venv: see that this folder is writable and its disk has space (df -h .)"
    as_root_install python3-venv
    "$python" -m venv --clear .venv || fail "cannot make .venv with $python: install its venv module and type it again"
}

home_cache() {
    # uv keeps downloads in the home folder; where that cannot be written it does without.
    cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}}
    if mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]; then return; fi
    say "$cache cannot be written, so downloads are not kept for the next checkout"
    export UV_NO_CACHE=1
}

machine_certificates() {
    # uv brings authorities of its own; a machine may have others, and pip trusts those.
    export UV_SYSTEM_CERTS=1
}

machine_index() {
    # uv does not read pip's settings; a machine that has only those still gets its own index.
    [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
}

install_packages() {
    [ -w . ] || fail "$(pwd) cannot be written: type it in a folder you own"
    say "first-time set-up: Python packages into .venv"
    .venv/bin/python -m pip --version >/dev/null 2>&1 || new_venv
    home_cache
    pinned=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$BOOTSTRAP")
    case $(.venv/bin/uv --version 2>/dev/null || true) in
        "uv $pinned"*) ;;
        *) .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$BOOTSTRAP" \
            || fail "pip could not install uv: see that 'pip download uv' works on this machine and type it again" ;;
    esac
    machine_index
    machine_certificates
    log=$(mktemp)
    if ! .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes "$LOCK" 2>"$log"; then
        say "uv could not fetch the packages, so pip does it, which takes longer"
        .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r "$LOCK" 2>>"$log" \
            || { cat "$log" >&2; fail "the packages of $LOCK could not be installed (the lines above say why): mend that and type it again"; }
    fi
    rm -f "$log"
}

want=$(cat "$BOOTSTRAP" "$LOCK" | cksum)
if [ "$(cat $STAMP 2>/dev/null || true)" != "$want" ] || ! [ -x .venv/bin/python ]; then
    install_packages
    printf '%s\n' "$want" >$STAMP
fi

if [ "${1:-python}" = stack ] && [ -z "${KAFKA_BOOTSTRAP:-}" ] && ! [ -e .venv/stamp-stack ]; then
    missing=$(.venv/bin/python -m deploy.local missing)
    case $missing in
        *openjdk-17*)
            # Newer Debian releases have only newer Java, which is as good.
            if ! apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 && is_root; then
                apt-get update >/dev/null 2>&1 || true
                apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 \
                    || missing=$(echo "$missing" | sed 's/openjdk-17-jre-headless/default-jre-headless/')
            fi ;;
    esac
    # Word splitting is meant: a list of package names.
    # shellcheck disable=SC2086
    [ -z "$missing" ] || as_root_install $missing
    .venv/bin/python -m deploy.local fetch
    : >.venv/stamp-stack
fi
