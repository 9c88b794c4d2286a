#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_info
short_description: Tells what one PM2 runs, and how its daemon is
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Reads the processes, the daemon and the saved process list of one PM2 home.
  - Changes nothing and never starts a daemon, which C(pm2 list) would.
  - Never returns a process's environment or arguments, where secrets may be.
  - A daemon that does not run, was stopped or does not answer is no failure but part of the result, within seconds.
extends_documentation_fragment:
  - workbot.stability.pm2
  - workbot.stability.pm2.home
  - workbot.stability.pm2.timeout
  - workbot.stability.read_only
"""

EXAMPLES = r"""
- name: Look at the PM2 of the shop
  workbot.stability.pm2_info:
    pm2_home: /srv/shop/active/pm2
    user: shop
  register: pm2

- name: Require a daemon that is up to date and processes that all run
  ansible.builtin.assert:
    that:
      - pm2.daemon is not none
      - not pm2.daemon.outdated
      - pm2.processes | rejectattr('status', 'equalto', 'online') | length == 0
"""

RETURN = r"""
daemon:
  description:
    - The daemon; V(null) when none runs. C(unit) is the systemd service that owns it, empty when there is none.
    - C(pm2) and C(node) are the versions that it runs, and with it every cluster worker; C(installed_pm2) and
      C(installed_node) those that are installed. C(other_node) says whether it runs another program than the installed
      Node.js, though perhaps of the same version, C(outdated) whether either differs.
  type: dict
  returned: always
  sample:
    pid: 811
    unit: shop-pm2.service
    pm2: 7.0.3
    installed_pm2: 7.0.4
    node: 26.10.0
    installed_node: 26.10.0
    other_node: false
    outdated: true
problem:
  description: Why the daemon could not be asked and what to do, empty when it could.
  type: str
  returned: always
pm2:
  description: PM2's version that is installed.
  type: str
  returned: always
processes:
  description:
    - Every process, as PM2 knows it. C(pid) is V(null) when it does not run. C(status) is such as V(online),
      V(stopped), V(errored), V(launching) or V(waiting restart).
    - What the daemon tells in a form that PM2 itself never uses is V(null) as well.
    - C(unstable_restarts) is how often in a row it ended before it was stable, C(exit_code) how it ended last,
      C(started_at) when it was started last, in seconds since the epoch, C(node_version) that of the Node.js that it
      was started under.
  type: list
  elements: dict
  returned: always
  sample:
    - name: shop-4f2a
      pm_id: 0
      pid: 4711
      status: online
      restarts: 0
      unstable_restarts: 0
      exit_code: 0
      started_at: 1796000000.5
      exec_mode: cluster
      namespace: default
      script: /srv/shop/releases/4f2a/dist/server.js
      cwd: /srv/shop/releases/4f2a
      interpreter: /opt/shop/bin/node
      node_version: 26.10.0
      out_file: /var/log/shop/out.log
      error_file: /var/log/shop/error.log
saved_list:
  description:
    - How C(dump.pm2), which C(pm2 resurrect) reads, stands to what lives. V(current), V(missing), V(damaged),
      V(readable by others) or V(another).
    - V(null) when the daemon could not be asked.
  type: str
  returned: always
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._pm2.argspec import CONNECTION_OPTIONS
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.converge import saved_list
from ansible_collections.workbot.stability.plugins.module_utils._pm2.daemon import (
    daemon_of,
    installed_pm2,
    with_versions,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.fields import mode
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import live_processes


def read_info(client: Pm2Client) -> dict[str, Any]:
    """Raises Pm2Error only where PM2 is not installed; a daemon that does not answer is part of what is told."""
    if client.missing:
        raise Pm2Error(client.missing)
    told: dict[str, Any] = {"daemon": None, "processes": [], "saved_list": None, "problem": ""}
    told["pm2"] = installed_pm2(client.pm2)
    found = daemon_of(client)
    if found is None:
        return told
    told["daemon"] = {**asdict(with_versions(client, found)), "outdated": found.outdated}
    try:
        live = live_processes(client)
    except Pm2Error as error:
        return {**told, "problem": str(error)}
    return {**told, "processes": [_process(process) for process in live], "saved_list": saved_list(client, live)}


def _process(process: Pm2Process) -> dict[str, Any]:
    """One process, without its environment and without its arguments, which may hold a secret as well."""
    settings = process.settings
    return {
        **process.report(),
        "unstable_restarts": _number(settings.get("unstable_restarts") or 0),
        "exit_code": _number(settings.get("exit_code")),
        "started_at": process.started_at,
        "exec_mode": mode(settings.get("exec_mode") or "fork"),
        "namespace": str(settings.get("namespace") or "default"),
        "script": _text(settings.get("pm_exec_path")),
        "cwd": _text(settings.get("pm_cwd")),
        "interpreter": _text(settings.get("exec_interpreter")),
        "node_version": _text(settings.get("node_version")),
        "out_file": _text(settings.get("pm_out_log_path")),
        "error_file": _text(settings.get("pm_err_log_path")),
    }


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def main() -> None:
    module = Module(argument_spec=CONNECTION_OPTIONS, supports_check_mode=True)
    try:
        told = read_info(Pm2Client.of(module.params))
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
