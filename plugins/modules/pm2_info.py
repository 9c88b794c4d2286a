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
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
extends_documentation_fragment: [workbot.stability.pm2]
"""

EXAMPLES = r"""
- name: Look at the PM2 of the shop
  workbot.stability.pm2_info:
    pm2_home: /srv/shop/home/.pm2
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
  description: The daemon; V(null) when none runs.
  type: dict
  returned: always
  contains:
    pid:
      description: Its process id.
      type: int
      returned: when a daemon runs
    unit:
      description: The systemd service that owns it, empty when there is none.
      type: str
      returned: when a daemon runs
    pm2:
      description: PM2's version that it runs.
      type: str
      returned: when a daemon runs
    installed_pm2:
      description: PM2's version that is installed.
      type: str
      returned: when a daemon runs
    node:
      description: Version of the Node.js that it runs under, and with it every cluster worker.
      type: str
      returned: when a daemon runs
    installed_node:
      description: Version of the installed Node.js.
      type: str
      returned: when a daemon runs
    other_node:
      description: Whether it runs another program than the installed Node.js, though perhaps of the same version.
      type: bool
      returned: when a daemon runs
    outdated:
      description: Whether it runs another PM2 or Node.js than the installed one.
      type: bool
      returned: when a daemon runs
problem:
  description: Why the daemon could not be asked and what to do, empty when it could.
  type: str
  returned: always
pm2:
  description: PM2's version that is installed.
  type: str
  returned: always
processes:
  description: Every process, as PM2 knows it.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The app's name.
      type: str
      returned: always
    pm_id:
      description: PM2's number of the process.
      type: int
      returned: always
    pid:
      description: Process id, V(null) when it does not run.
      type: int
      returned: always
    status:
      description: Such as V(online), V(stopped), V(errored), V(launching), V(waiting restart).
      type: str
      returned: always
    restarts:
      description: How often it was restarted.
      type: int
      returned: always
    unstable_restarts:
      description: How often in a row it ended before it was stable.
      type: int
      returned: always
    exit_code:
      description: How it ended last.
      type: int
      returned: always
    started_at:
      description: When it was started last, in seconds since the epoch.
      type: float
      returned: always
    exec_mode:
      description: V(fork) or V(cluster).
      type: str
      returned: always
    namespace:
      description: PM2's namespace.
      type: str
      returned: always
    script:
      description: The program.
      type: str
      returned: always
    cwd:
      description: Its working directory.
      type: str
      returned: always
    interpreter:
      description: What runs the program.
      type: str
      returned: always
    node_version:
      description: Version of the Node.js that it was started under.
      type: str
      returned: always
    out_file:
      description: Log of its standard output.
      type: str
      returned: always
    error_file:
      description: Log of its standard error output.
      type: str
      returned: always
saved_list:
  description:
    - How C(dump.pm2), which C(pm2 resurrect) reads, stands to what lives. V(current), V(missing), V(damaged),
      V(readable by others) or V(another).
    - V(null) when the daemon could not be asked.
  type: str
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.argspec import CONNECTION_OPTIONS
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.info import read_info


def main() -> None:
    module = AnsibleModule(argument_spec=CONNECTION_OPTIONS, supports_check_mode=True)
    options = module.params
    client = Pm2Client(
        home=Path(options["pm2_home"]),
        pm2=options["pm2"],
        node=options["node"],
        user=options["user"],
        timeout=options["timeout"],
    )
    try:
        told = read_info(client)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
