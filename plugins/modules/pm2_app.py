#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2_app
short_description: Makes PM2 run exactly the declared apps
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
description:
  - Compares every declared field with the live processes of a PM2 daemon and takes the mildest steps that reach the
    declared state. These are nothing, scale, reload, restart of dead processes, or delete and start.
  - Writes O(config_file) itself, so that boot and change read one declaration. The saved process list
    (C(dump.pm2)) is written only when it differs or is damaged, with mode 0600.
  - PM2 answers success for apps that die at once. This module waits until every process has stayed up, and fails with
    the last lines of the app's error log otherwise. Where these say that an address is in use, it names the process
    that holds it.
  - Runs C(pm2) as the service's user in an environment of its own. Nothing of the caller's shell reaches the processes,
    their saved list or the result. The apps get C(HOME), C(LANG), C(PATH) and what O(apps[].env) says.
  - Never starts a PM2 daemon. That is the job of a systemd unit, since one started here would die with the session.
  - A daemon that was stopped or does not answer is an error within seconds that says what to do.
attributes:
  check_mode:
    support: full
    description: Predicts the steps. Without a PM2 installation or daemon every app counts as not running.
  diff_mode:
    support: full
    description: Shows O(config_file) and the steps. Values of environment variables are never shown.
extends_documentation_fragment:
  - workbot.stability.pm2
  - workbot.stability.pm2.home
  - workbot.stability.pm2.timeout
  - workbot.stability.pm2.apps
options:
  ecosystem:
    description:
      - An ecosystem file on the host in any form that PM2 reads (C(.json), C(.yml), C(.yaml), C(.config.js),
        C(.config.cjs), C(.config.mjs)) instead of O(apps). PM2's own parser reads it, as O(user).
      - Relative paths and a missing C(cwd) are taken from its directory. All of PM2's names for a field are known. A
        field that PM2 does not know is an error. Fields that only steer the C(pm2) command are left out.
    type: path
    version_added: 0.2.0
  environment:
    description: Which C(env_) variables of O(ecosystem) are added to C(env), such as V(production).
    type: str
    version_added: 0.2.0
  config_file:
    description:
      - The ecosystem file that PM2 starts from, written by this module. PM2 takes it as one only when its name ends in
        C(.config.cjs) or C(.config.js).
      - Apps in it that are neither in O(apps) nor matched by O(prune) stay in it.
    type: path
    required: true
  owner:
    description: Owner of O(config_file).
    type: str
  group:
    description: Group of O(config_file).
    type: str
  mode:
    description: Mode of O(config_file).
    type: raw
    default: "0640"
  reload_when_newer:
    description:
      - Files that the apps read when they start, such as an environment file. Processes that are older than one of them
        are reloaded. A file that is not there is left out.
    type: list
    elements: path
    default: []
  secrets_file:
    description: Environment file (dotenv) whose values are hidden where the apps' logs are quoted.
    type: path
  state:
    description:
      - V(started) lets the apps run as they are declared.
      - V(restarted) and V(reloaded) do the same, and restart or reload the processes that this would have left alone.
        PM2 cannot reload without failing some requests.
      - V(stopped) stops the apps. They stay in PM2's list, and C(autostart) is set to V(false) in O(config_file), so
        that they stay stopped after a boot.
      - V(absent) removes the apps.
      - For V(stopped) and V(absent) only the apps' names matter.
    type: str
    choices: [started, stopped, restarted, reloaded, absent]
    default: started
  prune:
    description:
      - A regular expression. Apps whose whole name it matches and which are not in O(apps) are removed, after all
        others are up. Empty removes none.
    type: str
    default: ""
  update_daemon:
    description:
      - Restart a daemon that runs another PM2 or another Node.js than the ones installed, by its systemd unit or else
        by C(pm2 update). All its processes are restarted, and it is checked that none is lost.
      - Without it such a daemon is a warning.
    type: bool
    default: false
    version_added: 0.2.0
  wait:
    description: Seconds within which every process must have come up and stayed up.
    type: float
    default: 60
  stay_up:
    description: Seconds that a process must have been up without a restart. Default is its O(apps[].min_uptime).
    type: float
"""

EXAMPLES = r"""
- name: Two workers behind one socket
  workbot.stability.pm2_app:
    apps:
      - name: shop-1a2b
        script: dist/server.js
        cwd: /srv/shop/releases/1a2b
        interpreter: node
        node_args: [--env-file=/srv/shop/config/environment, --max-old-space-size=2048]
        exec_mode: cluster
        instances: 2
        max_memory_restart: 3G
        env:
          NODE_ENV: production
          PORT: /run/shop/1a2b.sock
    config_file: /srv/shop/config/ecosystem.config.cjs
    group: shop
    pm2_home: /srv/shop/home/.pm2
    user: shop
    pm2: /opt/shop/bin/pm2
    node: /opt/shop/bin/node
    reload_when_newer: [/srv/shop/config/environment]
    prune: "shop-.*"

- name: What the developers declare, with its variables for production
  workbot.stability.pm2_app:
    ecosystem: /srv/shop/current/ecosystem.config.cjs
    environment: production
    config_file: /srv/shop/config/pm2.config.cjs
    pm2_home: /srv/shop/home/.pm2
    user: shop
    update_daemon: true
"""

RETURN = r"""
action:
  description: The hardest of the steps taken, V(none) when nothing had to be done.
  type: str
  returned: always
  sample: reload
steps:
  description: What was done (in check mode what would be), to which app and why.
  type: list
  elements: dict
  returned: always
  sample: [{action: reload, name: shop-1a2b, reasons: ["env.PORT: 'set' -> 'changed'"]}]
before:
  description: All processes of this PM2 before. Each has name, pm_id, pid, status and restarts.
  type: list
  elements: dict
  returned: always
processes:
  description: All processes of this PM2 now.
  type: list
  elements: dict
  returned: always
declared:
  description: Names of the apps in the ecosystem file.
  type: list
  elements: str
  returned: always
log_lines:
  description: The end of the error log of the apps that O(state=absent) removed; empty otherwise.
  type: list
  elements: str
  returned: always
saved_list:
  description: How the saved process list was found before.
  type: str
  returned: always
  sample: damaged
saved:
  description: Whether the saved process list was (in check mode would be) written.
  type: bool
  returned: always
outdated_daemon:
  description: Whether the daemon, and so every cluster worker, runs another PM2 or Node.js than the one installed.
  type: bool
  returned: always
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._pm2.app import Outcome, Request, run
from ansible_collections.workbot.stability.plugins.module_utils._pm2.argspec import MODULE_OPTIONS, Pm2Module
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem_input import read_file
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import read
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import hide, texts_to_hide


def write_config(module: Module, path: Path, content: str) -> bool:
    """Put the ecosystem file in place by rename, with its owner, group and mode; whether anything differed."""
    current = path.read_text(encoding="utf-8") if path.exists() else None
    if current != content:
        if module.check_mode:
            return True
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        module.add_cleanup_file(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
        module.atomic_move(name, str(path))
    attributes = {"path": str(path), **{key: module.params[key] for key in ("owner", "group", "mode")}}
    arguments = module.load_file_common_arguments(attributes)
    return bool(module.set_fs_attributes_if_different(arguments, current != content))


def declared(module: Module, client: Pm2Client) -> list[dict[str, Any]]:
    """The apps, as data or from the file. Raises Pm2Error."""
    options = module.params
    if options["ecosystem"] is None:
        return list(options["apps"])
    path = Path(options["ecosystem"])
    if path == Path(options["config_file"]):
        raise Pm2Error(f"config_file: {path} is the ecosystem file itself; this module writes a file of its own")
    if module.check_mode and (client.missing or not path.exists()):
        # both may come earlier in the same run
        module.exit_json(changed=True, msg=f"{path} can't be read yet, so its apps are not known")
    if client.missing:
        raise Pm2Error(client.missing)
    return read_file(client, path, options["environment"] or "")


def converge(module: Module) -> Outcome:
    options = module.params
    client = Pm2Client.of(options)
    request = Request(
        apps=declared(module, client),
        config_file=Path(options["config_file"]),
        reload_when_newer=options["reload_when_newer"],
        state=options["state"],
        prune=options["prune"],
        update_daemon=options["update_daemon"],
        wait=options["wait"],
        stay_up=options["stay_up"],
        check_mode=module.check_mode,
    )
    return run(client, request, lambda content: write_config(module, request.config_file, content))


def warn(module: Module, outcome: Outcome) -> None:
    if outcome.outdated_daemon:
        module.warn(
            "the PM2 daemon, and so every cluster worker, runs another PM2 or Node.js than the one installed now; this"
            " takes effect when the daemon is restarted, see update_daemon"
        )
    if outcome.saved_list == "damaged":
        module.warn(
            "PM2's saved process list (dump.pm2) was damaged; `pm2 resurrect` would have deleted it and started"
            " nothing. It is written anew"
        )


def main() -> None:
    module = Pm2Module(
        argument_spec=MODULE_OPTIONS,
        mutually_exclusive=[("apps", "ecosystem")],
        required_one_of=[("apps", "ecosystem")],
        required_by={"environment": "ecosystem"},
        supports_check_mode=True,
    )
    hidden: set[str] = set()
    try:
        hidden = texts_to_hide(read(module.params["secrets_file"]))
        outcome = converge(module)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=hide(str(error), hidden))
    warn(module, outcome)
    report = outcome.report()
    report["log_lines"] = [hide(line, hidden) for line in report["log_lines"]]
    module.exit_json(diff=outcome.diff(Path(module.params["config_file"])), **report)


if __name__ == "__main__":
    main()
