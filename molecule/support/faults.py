# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, brought about as they come about: by signals, by full disks, by hand. And what undoes them all."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nginx_sites import mounted
from recovery import CALM, WORKERS, Watch, ask
from testinfra.host import Host
from waiting import until

ENVIRONMENT = "/srv/workbot/active/environment"
FAULTS_FILE = "/srv/workbot/shared/faults.json"
LOG_DIRECTORY = "/var/log/workbot"
STATE_DIRECTORY = "/var/lib/workbot-watchdog"
SETTINGS = "/srv/workbot/config/watchdog.json"
WATCHDOG = "workbot-watchdog.service"
SERVICE = "workbot.service"
# Of the active activation: PM2's daemon and the workers.
ACTIVATION = "workbot@*.service"
SMALL_KB = 2048
# watchdog_start_grace
START_GRACE = 30
BROKEN_SITE = "/etc/nginx/conf.d/zz-broken-by-hand.conf"
# Takes Nginx's port as soon as it is free, and answers 200 to everything.
TAKER = """
import http.server, time

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

while True:
    try:
        http.server.HTTPServer(("0.0.0.0", 80), Answers).serve_forever()
    except OSError:
        time.sleep(0.01)
"""
# Idle sessions: the server notices at once when their clients are gone.
CONNECTIONS = """
import subprocess, sys, time
held = [subprocess.Popen(["psql", "--quiet"], stdin=subprocess.PIPE) for _ in range(int(sys.argv[1]))]
time.sleep(600)
"""
LOCK = """
import psycopg, time
held = psycopg.connect("dbname=workbot application_name=holder")
held.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
time.sleep(600)
"""
# Those that are kept for the administrator stay free.
FREE = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - count(*) + 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
)


def activation_unit(host: Host) -> str:
    """The same by its full name, also while it is stopped."""
    return f"workbot@{host.check_output('basename $(readlink /srv/workbot/active)')}.service"


def workers(host: Host) -> list[dict[str, Any]]:
    """What PM2 lists of them, without their environment; nothing without a daemon."""
    run = host.run("workbot-pm2 jlist")
    if run.rc:
        return []
    return [
        {"id": item["pm_id"], "pid": item["pid"], "status": item["pm2_env"]["status"], "name": item["name"]}
        for item in json.loads(run.stdout.splitlines()[-1])
    ]


def given_up(host: Host) -> int:
    """How many workers PM2 has given up. What it says of them then is `waiting restart`."""
    listed = json.loads(host.check_output("workbot-pm2 jlist").splitlines()[-1])
    return sum(item["pm2_env"]["created_at"] is None for item in listed)


@contextmanager
def without_environment(host: Host) -> Iterator[None]:
    """No worker can be started meanwhile; those that run go on."""
    host.check_output(f"mv {ENVIRONMENT} {ENVIRONMENT}.away")
    try:
        yield
    finally:
        host.check_output(f"mv {ENVIRONMENT}.away {ENVIRONMENT}")


def pids(host: Host) -> set[int]:
    return {worker["pid"] for worker in workers(host) if worker["status"] == "online"}


def fault(host: Host, path: str, number: int = 0) -> int:
    """Breaks one worker by its own fault routes; its process id."""
    (pid,) = ask(host, "POST", f"/faults/{path}", [number])
    return pid


def grown_worker(host: Host) -> int:
    """The process id of a worker that has left its start grace behind; waits for it."""
    found = until("a worker is old enough", lambda: [pid for pid in pids(host) if age(host, pid) > START_GRACE], 60)
    return int(min(found))


def age(host: Host, pid: int) -> int:
    return int(host.check_output("ps -o etimes= -p %s", str(pid)))


def sick(host: Host, victim: int, kind: str) -> None:
    """Lets the health of this worker be wrong."""
    number = next(number for number in range(WORKERS) if ask(host, "GET", "/api/health", [number]) == [victim])
    assert fault(host, f"health/{kind}", number) == victim


def armed(host: Host, **faults: Any) -> None:
    """From now on every process that reads it is broken by the service's faults file, those started later included."""
    host.check_output("printf %%s %s > %s.new && mv %s.new %s", json.dumps(faults), *(FAULTS_FILE,) * 3)


def disarmed(host: Host) -> None:
    host.check_output(f"rm -f {FAULTS_FILE}")


def signal(host: Host, name: str, *processes: int) -> None:
    """One that has ended since they were listed is no matter."""
    pids = " ".join(map(str, processes))
    host.check_output(f"for pid in {pids}; do kill -{name} $pid || test ! -e /proc/$pid; done")


# Through the debugger that every Node.js has.
GROW = """
const [pid, mb] = process.argv.slice(-2).map(Number);
process.kill(pid, "SIGUSR1");
const list = () => fetch("http://127.0.0.1:9229/json/list").then((answer) => answer.json(), () => undefined);
let found;
while (!(found = await list())) await new Promise((again) => setTimeout(again, 100));
const socket = new WebSocket(found[0].webSocketDebuggerUrl);
await new Promise((open) => socket.addEventListener("open", open));
const expression = `globalThis.leaked = Buffer.alloc(${mb} * 1048576, 1); leaked.length`;
socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } }));
await new Promise((told) => socket.addEventListener("message", told));
process.exit();
"""


def leaked(host: Host, pid: int, megabytes: int) -> None:
    """A process of Node.js that has so much memory more."""
    node = "/srv/workbot/active/bin/node"
    host.check_output("timeout 30 %s --input-type=module --eval %s %s %s", node, GROW, str(pid), str(megabytes))


def resident_mb(host: Host, pid: int) -> int:
    """Its resident memory; 0 when it has ended."""
    return int(host.run("awk '/VmRSS/ {print $2}' /proc/%s/status", str(pid)).stdout or 0) // 1024


def main_pid(host: Host, unit: str) -> int:
    return int(host.check_output("systemctl show --property=MainPID --value %s", unit))


def unit_pids(host: Host, unit: str) -> list[int]:
    """All processes of a unit's control group."""
    group = host.check_output("systemctl show --property=ControlGroup --value %s", unit)
    found = host.check_output(
        "find /sys/fs/cgroup%s /sys/fs/cgroup/systemd%s -name cgroup.procs -exec cat {} + 2>/dev/null; true",
        group,
        group,
    )
    return sorted({int(pid) for pid in found.split()})


def unnoticed_end(host: Host, unit: str) -> float:
    """Seconds that systemd waits after a signal although the last process of a unit is gone: its TimeoutStopSec.

    That is Debian 12's in a container where control groups of version 1 don't tell it so; elsewhere there are none.
    """
    if host.system_info.codename != "bookworm" or host.check_output("stat -fc %T /sys/fs/cgroup") == "cgroup2fs":
        return 0
    return float(host.check_output("systemctl cat %s | sed -n s/^TimeoutStopSec=//p", unit).splitlines()[-1])


@contextmanager
def full(host: Host, directory: str, owner: str) -> Iterator[None]:
    """A small file system over a directory, with no room left. What fills it is bounded, whatever it then writes to.

    It is its owner's only when it is full: a page of a file that is there before has room for more lines.
    """
    with mounted(directory, f"size={SMALL_KB}k,mode=0755"):
        size = int(host.check_output(f"df --output=size --block-size=1K {directory}").split()[-1])
        assert size == SMALL_KB, f"{directory} is no small file system of its own"
        host.run(f"dd if=/dev/zero of={directory}/filler bs=1K count={SMALL_KB} status=none")
        assert host.check_output(f"df --output=avail {directory}").split()[-1] == "0"
        host.check_output(f"chown {owner} {directory}")
        yield


@contextmanager
def port_taken(host: Host) -> Iterator[int]:
    """Nginx is dead, and another program has its port: the process id of that."""
    unit = "molecule-takes-the-port"
    # inside a container root may not look into what has more capabilities than the one who looks
    limits = "--property=CapabilityBoundingSet=CAP_NET_BIND_SERVICE"
    host.check_output(f"systemd-run --quiet --unit={unit} {limits} python3 -c %s", TAKER)
    try:
        signal(host, "KILL", *unit_pids(host, "nginx.service"))
        yield main_pid(host, f"{unit}.service")
    finally:
        host.check_output(f"systemctl stop {unit}")


@contextmanager
def connections_taken(host: Host) -> Iterator[None]:
    """PostgreSQL has no free connection but those kept for its administrator."""
    unit = "molecule-takes-connections"
    free = host.check_output("runuser -u postgres -- psql --no-align --tuples-only --command=%s", FREE)
    host.check_output(
        "systemd-run --quiet --collect --unit=%s --uid=postgres python3 -c %s %s", unit, CONNECTIONS, free
    )
    try:
        yield
    finally:
        host.check_output(f"systemctl stop {unit}")


@contextmanager
def table_locked(host: Host) -> Iterator[None]:
    """By a session of somebody who has gone to lunch."""
    unit = "molecule-locks-a-table"
    host.check_output("systemd-run --quiet --collect --unit=%s --uid=postgres python3 -c %s", unit, LOCK)
    try:
        yield
    finally:
        host.check_output(f"systemctl stop {unit}")


def crowd(number: int) -> str:
    """A shell's command by which so many processes want a processor all the time."""
    return f"for n in $(seq {number}); do while :; do :; done & done; wait"


@contextmanager
def overloaded(host: Host, processes: Collection[int]) -> Iterator[None]:
    """These processes of the service have one processor, which three hundred others want as well."""
    allowed = host.check_output("taskset --cpu-list --pid %s", str(min(processes))).split()[-1]
    first = allowed.replace(",", "-").split("-")[0]

    def bind(processors: str) -> None:
        for pid in processes:
            # the service's user may do it; root may not, where the host is a container
            host.check_output("runuser -u workbot -- taskset --cpu-list --pid %s %s", processors, str(pid))

    unit = "molecule-wants-a-processor"
    host.check_output("systemd-run --quiet --unit=%s taskset --cpu-list %s sh -c %s", unit, first, crowd(300))
    try:
        bind(first)
        yield
    finally:
        host.check_output(f"systemctl kill --signal=KILL {unit}")
        bind(allowed)


@contextmanager
def with_settings(host: Host, **settings: Any) -> Iterator[None]:
    """A watchdog with these settings changed."""
    kept = host.check_output(f"cat {SETTINGS}")
    try:
        _set(host, json.dumps({**json.loads(kept), **settings}))
        yield
    finally:
        _set(host, kept)


def hasty(host: Host) -> AbstractContextManager[None]:
    """A watchdog that waits less between its steps: what takes many of them is seen sooner. The budget stays."""
    return with_settings(host, start_grace=4, backoff_initial=1)


def _set(host: Host, settings: str) -> None:
    host.check_output("printf %%s %s > %s && systemctl restart %s", settings, SETTINGS, WATCHDOG)


def forgotten(host: Host) -> None:
    """A watchdog that knows nothing of what earlier tests did: their restarts are a crash loop to the next one else."""
    host.check_output(f"systemctl stop {WATCHDOG} && rm -f {STATE_DIRECTORY}/state.json && systemctl start {WATCHDOG}")


def healed(watch: Watch) -> None:
    """Undoes whatever a test has left, also one that failed, and waits until all is well and the budget whole."""
    host = watch.host
    disarmed(host)
    host.check_output(f"rm -f {BROKEN_SITE}")
    host.run(f"systemctl kill --signal=CONT {WATCHDOG} '{ACTIVATION}' nginx.service postgresql@*.service")
    host.run(f"systemctl reset-failed; systemctl start postgresql nginx {WATCHDOG}")
    # it may count as started while the activation was stopped
    if not host.run("systemctl list-units --state=active --no-legend %s", ACTIVATION).stdout:
        host.run(f"systemctl restart {SERVICE}")
    until("the watchdog runs", lambda: host.run("workbot-watchdog resume").rc == 0, 30)
    listed = workers(host)
    running = int(host.run("pgrep --count --uid workbot --full server.ts").stdout or 0)
    if [len(listed), running] != [WORKERS] * 2 or any(worker["status"] != "online" for worker in listed):
        host.check_output(f"systemctl restart {SERVICE}")
    # what has been well long enough need not be waited for once more
    watch.until_well(time.time() - CALM - 1, 90)
    watch.command("resume")
