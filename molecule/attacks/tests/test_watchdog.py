# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No client steers recovery, and the service's user steers it for its own service alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attacks import HOSTILE, Attacker
from deployments import Service
from faults import WATCHDOG, main_pid, pids, signal, unit_pids
from recovery import Watch
from testinfra.host import Host
from waiting import until

NGINX = "nginx.service"
HELPER = f"/run/{HOSTILE}-watchdog-act.sock"
STATE = f"/var/lib/{HOSTILE}-watchdog"
RESTARTS = "/run/nginx-restarts/restarts.json"
SECONDS = 25
# From one address: half a request on each connection, and a new one for each that is closed.
NGINX_CONF, FEW = "/etc/nginx/nginx.conf", 768
FILL = """
import resource, selectors, socket, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
open_ones = selectors.DefaultSelector()
end = time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(min(400, count - len(open_ones.get_map()))):
        try:
            connection = socket.create_connection(("127.0.0.1", 80), 1)
            connection.sendall(b"GET / HTTP/1.1\\r\\nHost: attack\\r\\nX-Half: ")
            open_ones.register(connection, selectors.EVENT_READ)
        except OSError:
            pass
    time.sleep(0.1)
    for key, _ in open_ones.select(0):
        open_ones.unregister(key.fileobj)
        key.fileobj.close()
"""
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[2].encode() + b"\\n")
    try:
        print(connection.makefile().read(), flush=True)
    except ConnectionResetError:
        print("error: cut off", flush=True)
"""
# A process of the watchdog's unit that is not the watchdog.
JOINED = """
for file in /sys/fs/cgroup$1/cgroup.procs /sys/fs/cgroup/systemd$1/cgroup.procs; do
    if [ -e "$file" ]; then echo $$ > "$file"; fi
done
exec runuser -u "$2" -- python3 -c "$3" "$4" restart-proxy
"""
# As many sessions of the service's role as the server has left.
HOLD = """
. /srv/workbot/config/environment
for n in $(seq "$1"); do (sleep 120 | psql -XAtq "$DATABASE_URL" >/dev/null 2>&1) & done
wait
"""
DAMAGES = (
    """sed -i 's/"actions_total": [0-9]*/"actions_total": 1e999/' state.json""",
    "rm -f state.json; mkfifo state.json",
    "rm -f state.json; mkdir -p state.json/full",
    "mv /var/log/workbot/recovery.log away; mkfifo /var/log/workbot/recovery.log",
)
LOG_BACK = "if [ -e away ]; then mv away /var/log/workbot/recovery.log; fi"
LEFT = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@contextmanager
def unit(host: Host, name: str, *command: str, user: str) -> Iterator[None]:
    quoted = " ".join(["%s"] * len(command))
    host.check_output(f"systemd-run --quiet --collect --unit=%s --uid=%s {quoted}", name, user, *command)
    try:
        yield
    finally:
        host.run("systemctl kill --signal=KILL %s", name)


def proxy_steps(host: Host, service: str, began: float) -> list[dict[str, Any]]:
    """What a service's watchdog has done about Nginx since then."""
    lines = map(json.loads, host.check_output(f"{service}-watchdog history --json").splitlines())
    return [line for line in lines if line.get("code") == "restart_proxy" and line["time"] > began]


@contextmanager
def few_connections(host: Host) -> Iterator[None]:
    """As many as Debian's nginx.conf has, which one client can hold."""
    host.check_output(
        f"cp --archive {NGINX_CONF} {NGINX_CONF}.molecule"
        f" && sed --in-place --regexp-extended 's/(worker_connections) [0-9]+;/\\1 {FEW};/' {NGINX_CONF}"
    )
    try:
        host.check_output("nginx -s reload")
        yield
    finally:
        host.check_output(f"mv {NGINX_CONF}.molecule {NGINX_CONF} && nginx -s reload")


def test_a_client_that_fills_nginx_makes_no_watchdog_restart_it(host: Host, watch: Watch, neighbour: Service) -> None:
    began, master = time.time(), main_pid(host, NGINX)
    workers = len(host.check_output("pgrep --parent %s", str(master)).split())
    count = FEW * workers + 200
    command = ("python3", "-c", FILL, str(count), str(SECONDS))
    with few_connections(host), unit(host, "molecule-fills-nginx", *command, user="nobody"):
        told = watch.until_told(began, "proxy_full", SECONDS)
        until("the client has had its time", lambda: time.time() > began + SECONDS, SECONDS)
    assert told["severity"] == "critical"
    assert main_pid(host, NGINX) == master
    assert watch.actions(began) == ()
    assert proxy_steps(host, neighbour.name, began) == []
    watch.until_well(time.time())
    victim = min(pids(host))
    signal(host, "STOP", victim)
    until("the hung worker is replaced", lambda: victim not in pids(host), 40)
    assert watch.actions(began) == ("kill_worker",)


def test_only_the_watchdog_itself_is_answered_by_its_helper(host: Host, attacker: Attacker) -> None:
    master = main_pid(host, NGINX)
    outside = attacker.run('python3 -c "$1" "$2" restart-proxy', ASK, HELPER)
    group = host.check_output("systemctl show --property=ControlGroup --value %s", WATCHDOG)
    within = host.check_output("sh -euc %s attack %s %s %s %s", JOINED, group, HOSTILE, ASK, HELPER)
    assert outside.startswith("error")
    assert within.startswith("error")
    assert main_pid(host, NGINX) == master


@pytest.mark.usefixtures("watch")
def test_a_watchdog_in_the_service_s_hands_restarts_no_healthy_nginx(host: Host) -> None:
    """Its user may do to the watchdog's process what it wants, so that it says what the attacker wants."""
    master, answer, script = main_pid(host, NGINX), "/run/molecule-answer", "/run/molecule-ask.py"
    drop_in = f"/run/systemd/system/{WATCHDOG}.d"
    unit_file = (
        "[Service]\nType=exec\nRestart=no\nWatchdogSec=0\nExecStart=\n"
        f"ExecStart=/usr/bin/python3 {script} {HELPER} restart-proxy\nStandardOutput=truncate:{answer}\n"
    )
    host.check_output("mkdir -p %s && printf %%s %s > %s/molecule.conf", drop_in, unit_file, drop_in)
    host.check_output("printf %%s %s > %s && systemctl daemon-reload", ASK, script)
    try:
        host.check_output(f"systemctl restart {WATCHDOG}")
        said = until("an answer", lambda: host.run("cat %s", answer).stdout, 30)
    finally:
        host.check_output(f"rm -rf {drop_in} {script} {answer}; systemctl daemon-reload; systemctl restart {WATCHDOG}")
    assert said.startswith("error nginx.service needs no restart")
    assert main_pid(host, NGINX) == master


def test_two_watchdogs_restart_a_hung_nginx_once(host: Host, watch: Watch, neighbour: Service) -> None:
    def restarts() -> list[float]:
        found: list[float] = json.loads(host.run(f"cat {RESTARTS}").stdout or "[]")
        return found

    def beside() -> str:
        found: str = json.loads(host.check_output(f"cat /run/{neighbour.name}-watchdog/status.json"))["state"]
        return found

    until("the neighbour is well", lambda: beside() == "healthy", 60)
    began, before = time.time(), restarts()
    signal(host, "STOP", *unit_pids(host, NGINX))
    until("Nginx is restarted", lambda: set(restarts()) - set(before), 60)
    watch.until_well(time.time())
    until("the neighbour is well", lambda: beside() == "healthy", 60)
    assert len(set(restarts()) - set(before)) == 1
    # one that asked as well was answered that it was done already
    steps = [*proxy_steps(host, HOSTILE, began), *proxy_steps(host, neighbour.name, began)]
    assert [step["message"] for step in steps if not step["values"]["done"]] == []


def test_whatever_its_files_are_the_watchdog_starts(host: Host, attacker: Attacker, watch: Watch) -> None:
    def looks(began: float) -> bool:
        found = host.run(f"cat /run/{HOSTILE}-watchdog/status.json")
        return found.rc == 0 and json.loads(found.stdout)["time"] > began + 2

    def survives(damage: str) -> None:
        host.check_output(f"timeout 20 systemctl start {WATCHDOG}")
        process, began = main_pid(host, WATCHDOG), time.time()
        until(f"it goes on in spite of: {damage}", lambda: looks(began), 20)
        assert main_pid(host, WATCHDOG) == process

    for damage in DAMAGES:
        host.check_output(f"systemctl stop {WATCHDOG}")
        attacker.run(f"cd {STATE}; {damage}")
        try:
            survives(damage)
        finally:
            attacker.run(f"cd {STATE}; rm -rf state.json*; {LOG_BACK}")
    host.check_output(f"systemctl restart {WATCHDOG}")
    watch.until_well(time.time())


def test_workers_that_hang_with_all_connections_are_recovered(host: Host, watch: Watch) -> None:
    began, before = time.time(), pids(host)
    left = host.check_output("runuser -u postgres -- psql --no-align --tuples-only --command=%s", LEFT)
    with unit(host, "molecule-holds-all", "sh", "-c", HOLD, "hold", left, user=HOSTILE):
        signal(host, "STOP", *before)
        until("they are killed", lambda: not before & pids(host), 60)
    assert "kill_worker" in watch.actions(began)
    assert watch.told(began, "database_down") is None
