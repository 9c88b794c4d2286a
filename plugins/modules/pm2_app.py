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
  - Writes the ecosystem file itself, so that boot and change read one declaration. The saved process list
    (C(dump.pm2)) is written only when it differs, with mode 0600.
  - PM2 answers success for apps that die at once. This module waits until every process has stayed up, and fails with
    the last lines of the app's error log otherwise.
  - Runs C(pm2) as the service's user in an environment of its own. Nothing of the caller's shell reaches the processes,
    their saved list or the result. The apps get C(HOME), C(LANG), C(PATH) and what O(apps[].env) says.
  - Never starts a PM2 daemon. That is the job of a systemd unit, since one started here would die with the session.
attributes:
  check_mode:
    support: full
    description: Predicts the steps. Without a PM2 installation or daemon every app counts as not running.
  diff_mode:
    support: full
    description: Shows the ecosystem file and the steps. Values of live environment variables are not shown.
options:
  apps:
    description: The apps, with the fields of PM2's ecosystem file.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The app's name. It must be unique in this PM2 home.
        type: str
        required: true
      script:
        description: The program, absolute or relative to O(apps[].cwd).
        type: str
        required: true
      cwd:
        description: Working directory.
        type: path
        required: true
      args:
        description: Arguments of the script.
        type: list
        elements: str
      interpreter:
        description: The interpreter. V(none) runs the script itself.
        type: str
      node_args:
        description: Arguments of the interpreter.
        type: list
        elements: str
        aliases: [interpreter_args]
      exec_mode:
        description: V(cluster) runs Node.js workers that share their listening sockets.
        type: str
        choices: [fork, cluster]
        default: fork
      instances:
        description: How many processes. In mode V(fork) PM2 starts independent copies.
        type: int
        default: 1
      env:
        description: Environment variables. They are readable by whoever may ask PM2, so no secrets belong here.
        type: dict
        default: {}
      namespace:
        description: PM2's namespace.
        type: str
      max_memory_restart:
        description: Restart above this resident size. A whole number followed by K, M or G.
        type: str
      autorestart:
        description: Restart after an exit.
        type: bool
      autostart:
        description: Start when the app is added.
        type: bool
      max_restarts:
        description: Give up after this many exits within O(apps[].min_uptime).
        type: int
      min_uptime:
        description: An exit before this counts as unstable. Milliseconds, or a number followed by s, m or h.
        type: str
      restart_delay:
        description: Milliseconds before a restart. It defeats O(apps[].max_restarts).
        type: int
      exp_backoff_restart_delay:
        description: First delay in milliseconds of restarts with exponential back-off.
        type: int
      stop_exit_codes:
        description: Exit codes after which the app is not restarted.
        type: list
        elements: int
      cron_restart:
        description: Cron pattern of planned restarts.
        type: str
      kill_timeout:
        description: Milliseconds between SIGINT and SIGKILL.
        type: int
      listen_timeout:
        description: Milliseconds a reload waits for the new process.
        type: int
      wait_ready:
        description: The process reports C(ready) itself.
        type: bool
      shutdown_with_message:
        description: Stop by a message instead of SIGINT.
        type: bool
      treekill:
        description: Stop the whole process tree.
        type: bool
      watch:
        description: Restart when files change.
        type: bool
      ignore_watch:
        description: Paths not to watch.
        type: list
        elements: str
      watch_delay:
        description: Milliseconds between a change and the restart.
        type: int
      watch_options:
        description: Options of PM2's file watcher.
        type: dict
      out_file:
        description: Log of the standard output.
        type: path
      error_file:
        description: Log of the standard error output.
        type: path
      log_file:
        description: Log of both.
        type: path
      pid_file:
        description: File for the process id.
        type: path
      log_date_format:
        description: Time stamp before each line, in day.js's format.
        type: str
      log_type:
        description: Form of the log lines.
        type: str
        choices: [json]
      merge_logs:
        description: One log file for all instances.
        type: bool
      time:
        description: Time stamps in PM2's default form.
        type: bool
      disable_logs:
        description: Write no logs.
        type: bool
      source_map_support:
        description: Use source maps in stack traces.
        type: bool
      disable_source_map_support:
        description: Never use source maps.
        type: bool
      vizion:
        description: Read the version control data of the working directory.
        type: bool
      pmx:
        description: Load PM2's metrics into the process.
        type: bool
      automation:
        description: PM2's actions inside of the process.
        type: bool
      trace:
        description: PM2's transaction tracing.
        type: bool
      disable_trace:
        description: Turn tracing off.
        type: bool
      instance_var:
        description: The variable that holds the instance's number.
        type: str
      increment_var:
        description: A variable whose value grows by one with each instance.
        type: str
      filter_env:
        description:
          - Parts of names of variables to keep out. By default nothing of the environment of the C(pm2) command reaches
            the processes.
        type: list
        elements: str
      uid:
        description: User of the processes, when the daemon runs as root.
        type: str
      gid:
        description: Group of the processes, when the daemon runs as root.
        type: str
  config_file:
    description:
      - The ecosystem file, written by this module. PM2 takes it as one only when its name ends in C(.config.cjs) or
        C(.config.js).
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
  pm2_home:
    description: PM2's directory (C(PM2_HOME)).
    type: path
    required: true
  user:
    description: The user that the daemon runs as. Default is the user of the task.
    type: str
  pm2:
    description: The C(pm2) command.
    type: path
    default: /usr/bin/pm2
  node:
    description: The Node.js that runs it.
    type: path
    default: /usr/bin/node
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
    description: V(absent) removes the apps named in O(apps), whose other fields do not matter then.
    type: str
    choices: [started, absent]
    default: started
  prune:
    description:
      - A regular expression. Apps whose whole name it matches and which are not in O(apps) are removed, after all
        others are up. Empty removes none.
    type: str
    default: ""
  wait:
    description: Seconds within which every process must have come up and stayed up.
    type: float
    default: 60
  stay_up:
    description: Seconds that a process must have been up without a restart. Default is its O(apps[].min_uptime).
    type: float
  timeout:
    description: Seconds that one C(pm2) command may take.
    type: float
    default: 120
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
saved:
  description: Whether the saved process list was (in check mode would be) written.
  type: bool
  returned: always
outdated_daemon:
  description: Whether the daemon, and so every cluster worker, runs under another Node.js than the one installed.
  type: bool
  returned: always
"""

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._dotenv import read
from ansible_collections.workbot.stability.plugins.module_utils._pm2_app import MODULE_OPTIONS, Outcome, Request, run
from ansible_collections.workbot.stability.plugins.module_utils._pm2_client import Pm2Client, Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._secrets import hide, texts_to_hide


def write_config(module: AnsibleModule, path: Path, content: str) -> bool:
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


def converge(module: AnsibleModule) -> Outcome:
    options = module.params
    client = Pm2Client(
        home=Path(options["pm2_home"]),
        pm2=options["pm2"],
        node=options["node"],
        user=options["user"],
        timeout=options["timeout"],
    )
    request = Request(
        apps=options["apps"],
        config_file=Path(options["config_file"]),
        reload_when_newer=options["reload_when_newer"],
        state=options["state"],
        prune=options["prune"],
        wait=options["wait"],
        stay_up=options["stay_up"],
        check_mode=module.check_mode,
    )
    return run(client, request, lambda content: write_config(module, request.config_file, content))


def main() -> None:
    module = AnsibleModule(argument_spec=MODULE_OPTIONS, supports_check_mode=True)
    hidden = texts_to_hide(read(module.params["secrets_file"]))
    try:
        outcome = converge(module)
    except (Pm2Error, OSError) as error:
        module.fail_json(msg=hide(str(error), hidden))
    if outcome.outdated_daemon:
        module.warn(
            "the PM2 daemon, and so every cluster worker, runs under another Node.js than the one installed now;"
            " it takes effect when the daemon is restarted"
        )
    report = outcome.report()
    report["log_lines"] = [hide(line, hidden) for line in report["log_lines"]]
    module.exit_json(diff=outcome.diff(Path(module.params["config_file"])), **report)


if __name__ == "__main__":
    main()
