# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two services of one host: what happens to the one must not be noticed by the other, nor by its clients."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments import Service, assert_unnoticed, load, wait
from hosts import processes
from nginx_sites import clients
from testinfra.host import Host

TRACES = (Path(__file__).parent / "traces.py").read_text(encoding="utf-8")
FIRST, SECOND = "workbot", "kiosk"
VARIABLES = f"--extra-vars=@molecule/neighbours/vars/{SECOND}.yml"
TWICE: dict[str, Any] = {"remove_data": True, "remove_confirm": SECOND}
# Seconds for one playbook, also on a machine that has much else to do.
LIMIT = 1500
# What the answers of each say: to the health request, which Nginx passes on by a way of its own, and to any other.
SAYS = {FIRST: {"/health": '"database"', "/": '"websocket"'}, SECOND: {"/health": '"greeting"', "/": '"received"'}}
FILES = (
    "find /etc /usr/local /srv/{0}/config /var/lib/nginx_site -path '*{0}*' -type f -exec sha256sum {{}} + | sort;"
    " find /opt/{0} /srv/{0}/releases -printf '%p %s %T@ %m %u\\n' | sort | sha256sum"
)


def traces(host: Host) -> dict[str, Any]:
    """Every trace of the second service, and how the rest of the host is: see traces.py."""
    found: dict[str, Any] = json.loads(host.check_output("python3 -c %s %s", TRACES, SECOND))
    return found


def standing(host: Host, name: str) -> dict[str, Any]:
    """The processes that serve a service, Nginx's and PostgreSQL's own among them, and its files."""
    units = [f"system-{name}.slice", f"{name}-watchdog.service", "nginx.service", "system-postgresql.slice"]
    # A reload replaces Nginx's workers.
    found = {unit: {row for row in processes(host, units)[unit] if "nginx: worker" not in row[2]} for unit in units}
    return {"processes": found, "files": host.check_output(FILES.format(name))}


@contextmanager
def unnoticed(service: Service, address: str) -> Iterator[None]:
    """What happens meanwhile is not to be noticed by this service: no request of its clients fails, nothing changes."""
    before = standing(service.host, service.name)
    name = f"{service.name}.test"
    # Python's http.client reads the first Connection header of an answer alone, the load's h11 all, as Node.js does.
    with (
        load(address, f"--host={name}", "--connections=8", "--methods=GET") as tally,
        clients(address, {(name, path): text for path, text in SAYS[service.name].items()}) as asking,
    ):
        yield
        asking.assert_answered(0)
        assert asking.renewed == 0, f"{asking.renewed} connections in use were closed by a reload of Nginx"
    assert_unnoticed(tally, (), ("GET",))
    after = standing(service.host, service.name)
    assert after == before, (after, before)


def run(service: Service, playbook: str, *options: str, **variables: Any) -> str:
    """A playbook that must succeed; what it printed."""
    ended = wait(service.start(playbook, *options, **variables), LIMIT)
    assert ended.code == 0, ended.output
    return ended.output


def made_ill(service: Service, limit: float = 120) -> None:
    """Stops a worker for good. Returns when the watchdog has replaced it and is content."""
    workers = {process["pid"] for process in service.settled()["pm2"]}
    victim = min(workers)
    service.host.check_output("kill -STOP %s", str(victim))
    deadline = time.monotonic() + limit
    while True:
        online = {process["pid"] for process in service.look()["pm2"] if process["status"] == "online"}
        if victim not in online and len(online) == len(workers) and state(service) == "healthy":
            assert len(online & workers) == len(workers) - 1, "only the one that hung was replaced"
            return
        assert time.monotonic() < deadline, f"{service.name}: {victim} of {workers}, now {online}, {state(service)}"
        time.sleep(0.5)


def state(service: Service) -> str:
    """What the watchdog of the service sees."""
    found = json.loads(service.host.check_output("cat /run/%s-watchdog/status.json", service.name))
    return str(found["state"])
