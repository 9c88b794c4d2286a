# shellcheck shell=bash
# What the tools share: the root of the checkout, words for the person who watches, and the rights for podman and apt.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

say() { printf '%s\n' "$*" >&2; }

die() {
    say "ERROR: $*"
    exit 1
}

# Runs a command as root: apt and the containers with systemd need it.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*. Run it as root, or install sudo."
    fi
}
