# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host from outside: its processes, its power, the playbooks that run on it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import testinfra
from testinfra.host import Host

Processes = dict[str, set[tuple[str, str, str]]]

ROOT = Path(__file__).resolve().parents[2]
HOST = "workbot-test"
# As molecule/default/vars/hosts.yml names them.
LANE = os.environ.get("TEST_LANE", "")
HOSTS = ROOT / ".cache" / "hosts" / LANE
SSH_CONFIG = str(HOSTS / "ssh_config")
# One connection for all that the tests ask a host: a new one for each costs six times as much. Where Ansible keeps its
# own; a path below the checkout may be too long for a socket.
CONNECTIONS = Path.home() / ".ansible" / "cp"
CONTROL_PATH = f"ControlPath={CONNECTIONS}/%C"
# Longer than a test waits: one that ends in the moment it is needed is an error.
KEPT = f"-o ControlMaster=auto -o ControlPersist=1800s -o '{CONTROL_PATH}'"
# Of these services every process but the short-lived helpers must stay: masters, daemons and workers.
UNITS = ("nginx.service", "system-workbot.slice", "system-postgresql.slice", "cron.service")
# PostgreSQL starts a backend for each connection and these workers when it likes, the watchdog the diagnosis.
COMING_AND_GOING = re.compile(r"postgres: (?!.*(checkpointer|background writer|walwriter|launcher))|.*-diagnose --json")


def way_in() -> dict[str, Any]:
    """How testinfra reaches a host as its administrator: over SSH, with sudo."""
    CONNECTIONS.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {"ssh_config": SSH_CONFIG, "ssh_extra_args": KEPT, "sudo": True}


def host_of(name: str) -> Host:
    return testinfra.get_host(f"ssh://{name}", **way_in())


def container_of(name: str) -> str:
    """As molecule/default/vars/hosts.yml names it."""
    return "-".join(filter(None, (name, hashlib.sha256(str(ROOT).encode()).hexdigest()[:6], LANE)))


def podman(*arguments: str) -> None:
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*root, "podman", *arguments], check=True, capture_output=True)


def power_off(name: str) -> None:
    """The host loses its power. The connection to it is ended before: nothing would say so to this end of it."""
    ssh = ["ssh", "-F", SSH_CONFIG, "-o", CONTROL_PATH, "-O", "exit", name]
    # where there is none it says so
    subprocess.run(ssh, check=False, capture_output=True)
    podman("kill", container_of(name))


def power_on(*names: str) -> None:
    podman("start", *map(container_of, names))


def processes(host: Host, units: Sequence[str] = UNITS) -> Processes:
    """Of each unit the processes: id, start in clock ticks since the machine's boot, command line."""
    found = {}
    for unit in units:
        group = host.check_output("systemctl show --property=ControlGroup --value %s", unit)
        assert group, f"{unit} does not run"
        # Twice: one that begins has its parent's command line, and one that ends has none.
        listing = host.check_output(
            "for look in 1 2; do sleep 0.1;"
            " find /sys/fs/cgroup%s /sys/fs/cgroup/systemd%s -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |"
            " while read -r pid; do"
            ' echo "$pid $(sed "s/.*) //" /proc/$pid/stat | cut -d " " -f 20) $(tr "\\0" " " </proc/$pid/cmdline)";'
            " done; done",
            group,
            group,
        )
        rows = {tuple(line.split(" ", 2)) for line, looks in Counter(listing.splitlines()).items() if looks > 1}
        # cron's other processes are the jobs that are running
        main = host.service("cron").systemd_properties["MainPID"] if unit == "cron.service" else None
        found[unit] = {
            (pid, start, command)
            for pid, start, command in rows
            if main in (None, pid) and not COMING_AND_GOING.match(command)
        }
        assert found[unit], f"{unit} has no process"
    return found


def playbook(
    name: str,
    variables: Mapping[str, Any],
    *options: str,
    environment: Mapping[str, str] | None = None,
    inventory: str = "molecule/inventory",
) -> subprocess.Popen[str]:
    """Starts a playbook of the collection as a user or a CI stage does. Output and errors are one stream."""
    return subprocess.Popen(
        ["ansible-playbook", f"--inventory={inventory}", *options, f"--extra-vars={json.dumps(variables)}", name],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def vanished(controller: subprocess.Popen[str]) -> None:
    """Kill the controller as a cancelled CI job is: its workers, which have their own sessions, and connections too."""
    process = psutil.Process(controller.pid)
    for each in [process, *process.children(recursive=True)]:
        each.kill()
    controller.wait()


def put(host: Host, path: str, text: str) -> None:
    """A file that is there keeps its owner."""
    host.check_output("mkdir -p $(dirname %s) && printf %%s %s > %s", path, text, path)


def cut_power(host: Host, limit: float = 120) -> None:
    """The host loses its power and gets it back; returns when it can be reached again."""
    power_off(HOST)
    power_on(HOST)
    deadline = time.monotonic() + limit
    while not reached(host):
        assert time.monotonic() < deadline, f"{HOST} is not reached {limit} s after its power came back"
        time.sleep(0.5)


def reached(host: Host) -> bool:
    try:
        return bool(host.run("true").rc == 0)
    except RuntimeError:  # testinfra's word for a host that SSH does not reach
        return False
