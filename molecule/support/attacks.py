# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever runs code as the first service's user, or SQL as its role, attacks; the second service is the neighbour."""

from __future__ import annotations

from dataclasses import dataclass

from testinfra.host import Host

HOSTILE, NEIGHBOUR = "workbot", "kiosk"


@dataclass(frozen=True)
class Attacker:
    """What the hostile service can do on the host: any command as its user, any SQL as its role."""

    host: Host
    name: str = HOSTILE

    def run(self, script: str, *arguments: str) -> str:
        """A shell script as the service's user, outside the sandbox of its unit; it must succeed."""
        quoted = " ".join(["%s"] * len(arguments))
        command = f"cd / && runuser -u {self.name} -- /bin/sh -euc %s attack {quoted}"
        output: str = self.host.check_output(command, script, *arguments)
        return output

    def sql(self, statements: str) -> str:
        """SQL as the service's role, with the address and the password that its environment has."""
        script = '. "$1"; psql -XAtq --set=ON_ERROR_STOP=1 "$DATABASE_URL" -c "$2"'
        return self.run(script, f"/srv/{self.name}/config/environment", statements)
