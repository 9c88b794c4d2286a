# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that talk to PM2 have in common."""

    HOME = r"""
options:
  pm2_home:
    description: PM2's directory (C(PM2_HOME)).
    type: path
    required: true
"""

    DOCUMENTATION = r"""
options:
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
"""

    TIMEOUT = r"""
options:
  timeout:
    description: Seconds that one C(pm2) command may take, beyond the C(kill_timeout) of each process that it stops.
    type: float
    default: 120
"""

    APPS = r"""
options:
  apps:
    description: The apps, with the fields of PM2's ecosystem file.
    type: list
    elements: dict
    suboptions:
      name:
        description: The app's name. It must be unique in this PM2 home.
        type: str
        required: true
      script:
        description: The program, absolute or relative to O(apps[].cwd). Needed for an app that is to run.
        type: str
      cwd:
        description: Working directory. Needed for an app that is to run.
        type: path
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
        description:
          - How many processes. V(max) or V(0) is one for each CPU, a negative number that many fewer.
          - In mode V(fork) PM2 starts independent copies.
        type: raw
        default: 1
      port:
        description: Short for the variable C(PORT) in O(apps[].env), over which it wins.
        type: int
        version_added: 0.2.0
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
        description:
          - Restart after an exit. When this is V(false), a process that has ended with 0 has done its work and is left
            alone.
        type: bool
      autostart:
        description: Whether the app is started when it is added. PM2 never starts an app for which this is V(false).
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
        description: Exit codes after which the app has done its work and is not restarted.
        type: list
        elements: int
      cron_restart:
        description: Cron pattern of planned restarts.
        type: str
      kill_timeout:
        description: Milliseconds between SIGINT and SIGKILL.
        type: int
      kill_retry_time:
        description: Milliseconds between two looks whether a process has ended.
        type: int
        version_added: 0.2.0
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
        description: Restart when files change. V(true) for those below O(apps[].cwd), or a list of paths.
        type: raw
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
        description:
          - PM2's transaction tracing. PM2 installs packages for it into its own directory when it first needs them.
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
        description: Name of the processes' user, when the daemon runs as root. C(HOME) is that user's then.
        type: str
      gid:
        description: Name of the processes' group, when the daemon runs as root. Default is the user's main one.
        type: str
      post_update:
        description: Commands that PM2 runs after C(pm2 pull).
        type: list
        elements: str
        version_added: 0.2.0
"""
