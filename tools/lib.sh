# shellcheck shell=bash
# What the tools share: the root of the checkout, words for the person who watches, the rights for podman and apt, the
# certificate authorities for pip and npm, Debian's packages, and pictures of pages.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

# pip, npm and pnpm bring certificate authorities of their own. Behind a company proxy they need those of the system.
authorities=/etc/ssl/certs/ca-certificates.crt
if [ -s "$authorities" ]; then
    export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$authorities} PIP_CERT=${PIP_CERT:-$authorities}
    export SSL_CERT_FILE=${SSL_CERT_FILE:-$authorities} REQUESTS_CA_BUNDLE=${REQUESTS_CA_BUNDLE:-$authorities}
fi

say() { printf '%s\n' "$*" >&2; }

die() {
    say "ERROR: $*"
    exit 1
}

# Runs a command as root: apt and the containers with systemd need it. sudo forgets the environment, and with it a proxy.
as_root() {
    local kept=() name
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        for name in http_proxy https_proxy no_proxy PODMAN_IGNORE_CGROUPSV1_WARNING; do
            [ -z "${!name:-}" ] || kept+=("$name=${!name}")
        done
        sudo env "${kept[@]}" "$@"
    else
        die "this needs root: $*. Run it as root, or install sudo."
    fi
}

# Installs those of the Debian packages that are missing.
debian_packages() {
    command -v dpkg-query >/dev/null || die "no Debian: install the equals of these by hand: $*"
    local missing=() package
    for package; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Debian packages: installing ${missing[*]} ..."
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Has headless Chromium take a picture of a page: PICTURE PAGE SIZE COLOURS [OPTION ...]. The picture and what Chromium says
# lie beside the page, what is published in docs/pictures.
picture() {
    local name=$1 page=$2 size=$3 colours=$4 own
    own=$(dirname "$page")/$name
    shift 4
    mkdir -p "$root/docs/pictures"
    # Its own sandbox needs namespaces that a container may not have; the pages are ours.
    chromium-headless-shell --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" "$@" \
        --screenshot="$own.png" "file://$page" 2>"$own.log"
    pngquant --force --strip --speed 1 --output "$root/docs/pictures/$name.png" "$colours" "$own.png"
    say "docs/pictures/$name.png"
}

# Runs a playbook that makes or removes hosts as root. Ansible asks for sudo's password itself where one is needed; one
# that sudo remembers is no help to it.
playbook_as_root() {
    local ask=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "this needs root: run it as root, or install sudo."
        sudo -k -n true 2>/dev/null || ask=(--ask-become-pass)
    fi
    "$root/.venv/bin/ansible-playbook" "${ask[@]}" "$@"
}
