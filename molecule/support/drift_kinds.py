# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drift is: one command of root's that makes it, who announces it, and how the host tells that it is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from prediction import Record
from testinfra.host import Host

PSQL = "runuser -u postgres -- psql -XqAtd workbot -v ON_ERROR_STOP=1 -c"
SETTINGS = "/etc/postgresql/*/main/conf.d/workbot.conf"
HBA = "/etc/postgresql/*/main/pg_hba.conf"
IDENT = "/etc/postgresql/*/main/pg_ident.conf"
LATER = "/etc/postgresql/*/main/conf.d"
# Without the package acl, which a drift removes.
ACCESS_LIST = "python3 -c 'import os, sys; os.getxattr(sys.argv[1], \"system.posix_acl_access\")'"
UNITS = "/etc/systemd/system"
WORKERS = "pgrep --count --uid workbot --full server.ts"
DECLARED = "sed -n 's/.*\"instances\": \\([0-9]*\\).*/\\1/p' /srv/workbot/active/ecosystem.config.cjs"
ACTIVE = 'basename "$(readlink /srv/workbot/active)" | cut -d @ -f 1'

# The tasks that repair most of them, by their beginnings.
USER = "Create the user, the directories"
WATCHDOG = "Install the watchdog"
DIAGNOSIS = "Install the diagnosis command"
POLICY = "Install the policy and what runs it"
TOOLCHAIN = "Install Node.js"
ACTIVATION = "Activate the release"
UNITS_OF_PM2 = "Install the units"
SITE = "Install the site"
SERVER = "Configure the server, and let the service in"
DATABASE = "Create the database, its roles and its tables"


@dataclass(frozen=True)
class Drift:
    """What a run repairs."""

    made: str
    task: str
    """Beginning of the name of the task that check mode must announce,"""
    shows: str
    """and a text of its item or its diff as JSON: the path, where there is one."""
    well: str
    """A command that succeeds on a host on which all is as declared, and there alone."""

    def is_announced(self, record: Record) -> bool:
        return any(
            f": {self.task}" in entry["task"] and self.shows in json.dumps([entry["item"], entry["diff"]])
            for entry in record.changed
        )


def is_mode(path: str, mode: str) -> str:
    return f'[ "$(stat --format=%U:%a {path})" = {mode} ]'


def says(query: str, answer: str) -> str:
    return f'[ "$({PSQL} "{query}")" = {answer} ]'


def is_index(name: str) -> str:
    return says(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')", "t")


def disabled(unit: str, task: str) -> Drift:
    return Drift(f"systemctl disable {unit}", task, f"{unit} started, disabled", f"systemctl is-enabled {unit}")


@dataclass(frozen=True)
class Refused:
    """What a run does not take out of the way: it says so before it changes anything."""

    made: str
    says: str
    undone: str


def do(host: Host, commands: Mapping[str, str]) -> None:
    """Runs each as root; one that fails is named by its key."""
    for what, command in commands.items():
        done = host.run(command)
        assert done.rc == 0, f"{what}: {done.stdout}{done.stderr}"


def unwell(host: Host, drifts: Mapping[str, Drift]) -> list[str]:
    """Which drifts the host shows, by its own word, asked in one call."""
    names = list(drifts)
    script = [f"if ! {{ {drifts[name].well}; }} >/dev/null 2>&1; then echo {names.index(name)}; fi" for name in names]
    return [names[int(line)] for line in host.check_output("\n".join(script)).split()]
