# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PM2 of the tests' own on the host: its user, its home, its unit, and the modules run on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hosts import ROOT, put
from testinfra.host import Host

Pm2 = Callable[[str], str]

USER = "pm2test"
HOME = f"/srv/{USER}"
PM2_HOME = f"{HOME}/.pm2"
UNIT = f"pm2-{USER}.service"
APP = f"{HOME}/app"
BIN = "/opt/workbot/bin"
# A copy of the toolchain whose PM2 says that it is another version: what an update finds.
OTHER = f"/opt/{USER}"
CONFIG = f"{HOME}/apps.config.cjs"
SECRET = "do-not-show-this-secret"
# Seconds for one run of a module, also where it has to wait for processes that do not come.
LIMIT = 180

# Writes what it was given into its working directory, tells PM2 that it is ready, and stays.
PROGRAM = textwrap.dedent(
    """
    const { writeFileSync } = require('node:fs');
    const { argv, execArgv, env, pid } = process;
    const seen = { argv: argv.slice(2), execArgv, env, pid, uid: process.getuid() };
    writeFileSync(`${process.cwd()}/seen-${env.name}.json`, JSON.stringify(seen));
    process.send?.('ready');
    process.on('message', (message) => message === 'shutdown' && process.exit());
    setInterval(() => {}, 60000);
    """
)
JOB = "setTimeout(() => process.exit(Number(process.argv[2] ?? 0)), 200);\n"
SERVER = "require('node:net').createServer().listen(process.argv[2]);\n"
UNIT_FILE = textwrap.dedent(
    f"""
    [Service]
    Type=forking
    User={USER}
    PIDFile={PM2_HOME}/pm2.pid
    WorkingDirectory=/
    Environment=HOME={HOME} PM2_HOME={PM2_HOME} PATH=@bin@:/usr/bin:/bin PM2_DISCRETE_MODE=true
    ExecStart=@bin@/pm2 ping
    ExecStop=@bin@/pm2 kill
    """
)
FORK = {"exec_mode": "fork", "interpreter": "node"}
CONNECTION = {"pm2_home": PM2_HOME, "user": USER, "pm2": f"{BIN}/pm2", "node": f"{BIN}/node"}


@dataclass(frozen=True)
class Run:
    """What one run of a module said."""

    output: str
    result: dict[str, Any]

    def steps(self) -> dict[str, str]:
        return {step["name"]: step["action"] for step in self.result["steps"]}

    def pids(self) -> dict[int, int]:
        return {process["pm_id"]: process["pid"] for process in self.result["processes"]}


def module(name: str, options: dict[str, Any], *flags: str, fails: bool = False) -> Run:
    command = ["ansible", "app", "--inventory=molecule/inventory", "--become", "--diff", *flags]
    run = subprocess.run(
        [*command, f"--module-name=workbot.stability.{name}", f"--args={json.dumps(options)}"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    output = run.stdout + run.stderr
    assert (run.returncode != 0) == fails, output
    answer = re.search(r"^\S+ \| \w+!? => (?={)", run.stdout, re.MULTILINE)
    assert answer, output
    result, _end = json.JSONDecoder().raw_decode(run.stdout, answer.end())
    return Run(output, result)


def converge(apps: list[dict[str, Any]], *flags: str, fails: bool = False, **options: Any) -> Run:
    given = {"apps": apps, "config_file": CONFIG, "group": USER, "stay_up": 0.5, **CONNECTION, **options}
    return module("pm2_app", {key: value for key, value in given.items() if value is not None}, *flags, fails=fails)


def app(name: str, **fields: Any) -> dict[str, Any]:
    # it listens nowhere, for which PM2's reload waits
    base = {"script": "app.js", "cwd": APP, "exec_mode": "cluster", "env": {"LETTER": "a"}, "listen_timeout": 300}
    return {"name": name, **base, **fields}


def listed(pm2: Pm2) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(pm2("jlist").splitlines()[-1])
    return found


def own_pm2(host: Host) -> Iterator[Pm2]:
    """For a fixture: a daemon under a unit, and the command, as its user."""
    host.run(f"systemctl stop {UNIT}; pkill -KILL -u {USER}; userdel --remove {USER}")
    host.check_output(f"useradd --system --home-dir {HOME} --create-home --shell /usr/sbin/nologin {USER}")
    for path, text in {
        f"{APP}/app.js": PROGRAM,
        f"{APP}/other.js": PROGRAM,
        f"{HOME}/elsewhere/app.js": PROGRAM,
        f"{APP}/job.js": JOB,
        f"{APP}/server.js": SERVER,
        f"/etc/systemd/system/{UNIT}": UNIT_FILE.replace("@bin@", BIN),
    }.items():
        put(host, path, text)
    host.check_output(f"chown -R {USER}: {HOME} && systemctl daemon-reload && systemctl start {UNIT}")

    def command(arguments: str) -> str:
        as_user = f"setpriv --reuid {USER} --regid {USER} --clear-groups env -i HOME={HOME} PM2_HOME={PM2_HOME}"
        return host.check_output(
            f"cd / && {as_user} PATH={BIN}:/usr/bin:/bin PM2_DISCRETE_MODE=true {BIN}/pm2 {arguments}"
        )

    yield command
    host.run(f"systemctl kill --signal=CONT {UNIT}")
    host.check_output(f"systemctl stop {UNIT} && rm /etc/systemd/system/{UNIT} && systemctl daemon-reload")
    # userdel refuses while one that was just killed is still there
    host.check_output(f"while pkill -KILL -u {USER}; do sleep 0.1; done; userdel --remove {USER} && rm -rf {OTHER}")
