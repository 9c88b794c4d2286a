# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pebble, an ACME authority for tests: on the test host, trusted by it, and without a name server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from certificates import issue
from edge import await_port
from hosts import put
from testinfra.host import Host

PORT = 14000
SERVER = f"https://localhost:{PORT}/dir"
ROOT = "/opt/molecule-authority"
CERTBOTS = ("/etc/letsencrypt", "/var/lib/letsencrypt", "/var/log/letsencrypt", "/var/lib/certbot_certificate")
_UNIT = "molecule-authority"
_TRUSTED = "/usr/local/share/ca-certificates/molecule-authority.crt"
# It asks at once, refuses no nonce for the sake of it, and keeps no name as proved.
_SETTINGS = ("PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")


@dataclass(frozen=True)
class Authority:
    host: Host

    def start(self, **options: Any) -> None:
        """It forgets its accounts and has other keys each time."""
        self.stop()
        own = {
            "listenAddress": f"127.0.0.1:{PORT}",
            "managementListenAddress": f"127.0.0.1:{PORT + 1}",
            "certificate": f"{ROOT}/pebble.pem",
            "privateKey": f"{ROOT}/pebble.key",
            "httpPort": 80,
            "tlsPort": 443,
            "retryAfter": {"authz": 1, "order": 1},
            **options,
        }
        put(self.host, f"{ROOT}/config.json", json.dumps({"pebble": own}))
        settings = [word for setting in _SETTINGS for word in ("--setenv", setting)]
        command = ["systemd-run", "--quiet", f"--unit={_UNIT}", *settings, "pebble", "-config", f"{ROOT}/config.json"]
        self.host.check_output(" ".join(command))
        await_port(self.host, PORT)

    def stop(self) -> None:
        self.host.run("systemctl stop %s; systemctl reset-failed %s", _UNIT, _UNIT)

    def journal(self) -> str:
        return str(self.host.check_output("journalctl --quiet --no-pager --output=cat --unit=%s", _UNIT))

    def roots(self) -> str:
        """The certificate that clients would have to trust."""
        return str(self.host.check_output("curl --silent --fail https://localhost:%s/roots/0", str(PORT + 1)))


@contextmanager
def authority(host: Host, names: Sequence[str]) -> Iterator[Authority]:
    """An authority that finds the names on the host itself. In the end nothing of it is left, nor of certbot."""
    top = issue("molecule authority", authority=True)
    server = issue("localhost", top, names=["localhost"])
    host.check_output("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes pebble")
    found = Authority(host)
    try:
        host.check_output("mkdir -p %s", ROOT)
        put(host, f"{ROOT}/pebble.pem", server.pem)
        put(host, f"{ROOT}/pebble.key", server.key_pem())
        put(host, _TRUSTED, top.pem)
        host.check_output("update-ca-certificates")
        with resolving(host, **{name.replace(".", "_"): "127.0.0.1" for name in names}):
            found.start()
            yield found
    finally:
        found.stop()
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --quiet --yes --auto-remove pebble certbot")
        host.check_output("rm -rf %s %s " + " ".join(CERTBOTS), ROOT, _TRUSTED)
        host.check_output("update-ca-certificates --fresh")


@contextmanager
def resolving(host: Host, **addresses: str) -> Iterator[None]:
    """Names of the host's own resolver, dots written as underscores, each with its address; of the others first."""
    before = host.file("/etc/hosts").content_string
    lines = "".join(f"{address} {name.replace('_', '.')}\n" for name, address in addresses.items())
    _write_hosts(host, lines + before)
    try:
        yield
    finally:
        _write_hosts(host, before)


def _write_hosts(host: Host, text: str) -> None:
    """In its place: the container's is a mount."""
    host.check_output("printf %%s %s > /etc/hosts", text)
