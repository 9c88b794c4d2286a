# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that may be told of one PM2: its processes, its daemon and its saved list. Reads only, starts no daemon."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .client import Pm2Client
from .converge import saved_list
from .daemon import daemon_of, installed_pm2, with_versions
from .errors import Pm2Error
from .fields import mode
from .process import Pm2Process


def read_info(client: Pm2Client) -> dict[str, Any]:
    """Raises Pm2Error only where PM2 is not installed; a daemon that does not answer is part of what is told."""
    if client.missing:
        raise Pm2Error(client.missing)
    found = daemon_of(client)
    if found is None:
        return {"daemon": None, "processes": [], "saved_list": None, "problem": "", "pm2": installed_pm2(client.pm2)}
    daemon = {**asdict(with_versions(client, found)), "outdated": found.outdated}
    live: list[Pm2Process] = []
    problem, list_state = "", None
    try:
        live = client.processes()
        list_state = saved_list(client, live)
    except Pm2Error as error:
        problem = str(error)
    return {
        "daemon": daemon,
        "processes": [_process(process) for process in live],
        "saved_list": list_state,
        "problem": problem,
        "pm2": found.installed_pm2,
    }


def _process(process: Pm2Process) -> dict[str, Any]:
    """One process, without its environment and without its arguments, which may hold a secret as well."""
    settings = process.settings
    return {
        **process.report(),
        "unstable_restarts": int(settings.get("unstable_restarts") or 0),
        "exit_code": settings.get("exit_code"),
        "started_at": process.started_at,
        "exec_mode": mode(settings.get("exec_mode") or "fork"),
        "namespace": str(settings.get("namespace") or "default"),
        "script": settings.get("pm_exec_path"),
        "cwd": settings.get("pm_cwd"),
        "interpreter": settings.get("exec_interpreter"),
        "node_version": settings.get("node_version"),
        "out_file": settings.get("pm_out_log_path"),
        "error_file": settings.get("pm_err_log_path"),
    }
