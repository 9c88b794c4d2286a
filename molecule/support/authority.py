# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pebble, an ACME authority for tests: on a test host, and without a name server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from certificates import Issued, issue
from edge import await_port
from hosts import put
from testinfra.host import Host

ROOT = "/opt/molecule-authority"
CERTBOTS = ("/etc/letsencrypt", "/var/lib/letsencrypt", "/var/log/letsencrypt", "/var/lib/certbot_certificate")
_PORT = 14000
_UNIT = "molecule-authority"
# At the port where it tells about itself.
_ASK = f"""
import ssl, sys, urllib.request
address = "https://127.0.0.1:{_PORT + 1}/" + sys.argv[1]
print(urllib.request.urlopen(address, context=ssl._create_unverified_context()).read().decode())
"""
_TRUSTED = "/usr/local/share/ca-certificates/molecule-authority.crt"
# It asks at once, refuses no nonce for the sake of it, and keeps no name as proved.
_SETTINGS = ("PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")


@dataclass(frozen=True)
class Authority:
    host: Host
    address: str
    top: Issued
    """Of its own HTTPS; what it issues is of others, new ones at each start."""

    @property
    def server(self) -> str:
        return f"https://{self.address}:{_PORT}/dir"

    def start(self, **options: Any) -> None:
        """It forgets its accounts each time."""
        self.stop()
        own = {
            "listenAddress": f"{self.address}:{_PORT}",
            "managementListenAddress": f"127.0.0.1:{_PORT + 1}",
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
        await_port(self.host, _PORT + 1)

    def stop(self) -> None:
        self.host.run("systemctl stop %s; systemctl reset-failed %s", _UNIT, _UNIT)

    def status_of(self, serial: str) -> str:
        """Of a certificate with that serial number: Valid or Revoked."""
        text = self.host.check_output("python3 -c %s %s", _ASK, f"cert-status-by-serial/{serial}")
        found: dict[str, Any] = json.loads(text)
        return str(found["Status"])

    def root(self) -> str:
        """Of what it issues since its start, as PEM."""
        return str(self.host.check_output("python3 -c %s %s", _ASK, "roots/0"))

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """It takes every request, and is slow to answer."""
        self.host.check_output("systemctl kill --signal=STOP %s", _UNIT)
        try:
            yield
        finally:
            self.host.check_output("systemctl kill --signal=CONT %s", _UNIT)

    @contextmanager
    def trusted(self, host: Host) -> Iterator[None]:
        """A host that is its customer. In the end nothing is left of that, nor of certbot."""
        put(host, _TRUSTED, self.top.pem)
        host.check_output("update-ca-certificates")
        try:
            yield
        finally:
            host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --quiet --yes --auto-remove certbot")
            host.check_output("rm -rf %s " + " ".join(CERTBOTS), _TRUSTED)
            host.check_output("update-ca-certificates --fresh")


@contextmanager
def authority(host: Host, names: Mapping[str, str], address: str = "127.0.0.1") -> Iterator[Authority]:
    """An authority at that address of the host, its first customer, where each name leads to an address."""
    top = issue("molecule authority", authority=True)
    server = issue(address, top, names=[address])
    host.check_output("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes pebble")
    found = Authority(host, address, top)
    try:
        host.check_output("mkdir -p %s", ROOT)
        put(host, f"{ROOT}/pebble.pem", server.pem)
        put(host, f"{ROOT}/pebble.key", server.key_pem())
        with found.trusted(host), resolving(host, names):
            found.start()
            yield found
    finally:
        found.stop()
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --quiet --yes --auto-remove pebble")
        host.check_output("rm -rf %s", ROOT)


@contextmanager
def resolving(host: Host, names: Mapping[str, str]) -> Iterator[None]:
    """The host's own resolver has these names, each with its address, before all others."""
    before = host.file("/etc/hosts").content_string
    _write_hosts(host, "".join(f"{address} {name}\n" for name, address in names.items()) + before)
    try:
        yield
    finally:
        _write_hosts(host, before)


def _write_hosts(host: Host, text: str) -> None:
    """In its place: the container's is a mount."""
    host.check_output("printf %%s %s > /etc/hosts", text)
