# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes a module is asked about: those of PM2 apps, of a pid file or of a systemd unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._host.processes import pid_of_file, process_of_unit
from .._pm2.client import Pm2Client
from .._pm2.errors import Pm2Error
from .._pm2.process import Pm2Process, select
from .._pm2.rpc import live_processes

PROCESS_OPTIONS: dict[str, dict[str, Any]] = {
    "pm2_apps": {"type": "list", "elements": "str", "default": []},
    "pm2_prefix": {"type": "str", "default": ""},
    "pm2_home": {"type": "path"},
    "pm2_user": {"type": "str"},
    "pm2_bin": {"type": "path", "default": "/usr/bin"},
    "pid_file": {"type": "path"},
    "systemd_unit": {"type": "str"},
}
CHOICES = ("pm2_apps", "pm2_prefix", "pid_file", "systemd_unit")


def wrong_choice(params: Mapping[str, Any], also: Iterable[str] = ()) -> str:
    """What is wrong with the choice of processes; empty when nothing is. `also` are other things to choose."""
    choices = (*CHOICES, *also)
    if not any(params[name] for name in choices):
        return f"choose the processes: one of {', '.join(choices[:-1])} and {choices[-1]} is needed"
    if (params["pm2_apps"] or params["pm2_prefix"]) and not (params["pm2_home"] and params["pm2_user"]):
        return "pm2_apps and pm2_prefix need pm2_home and pm2_user"
    return ""


def pm2_processes(params: Mapping[str, Any]) -> list[Pm2Process]:
    """The chosen processes of PM2; none when the service is chosen otherwise. Raises Pm2Error."""
    if not (params["pm2_apps"] or params["pm2_prefix"]):
        return []
    client = Pm2Client.below(params["pm2_bin"], params["pm2_home"], params["timeout"], params["pm2_user"])
    if client.missing:
        raise Pm2Error(client.missing)
    return select(live_processes(client), params["pm2_apps"], params["pm2_prefix"])


def roots_of(params: Mapping[str, Any], processes: Iterable[Pm2Process]) -> list[tuple[str, int]]:
    """Label and id of each process at the top of a tree. Raises ProcessError."""
    roots = [(f"{process.name}.{process.pm_id}", process.pid) for process in processes if process.pid]
    if params["pid_file"]:
        roots.append((Path(params["pid_file"]).name, pid_of_file(params["pid_file"])))
    if params["systemd_unit"]:
        roots.append((params["systemd_unit"], process_of_unit(params["systemd_unit"])[0]))
    return roots
