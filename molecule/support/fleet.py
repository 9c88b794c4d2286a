# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario fleet: where they are, their power, and playbooks that run on all of them."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hosts import HOSTS, ROOT, Processes, host_of, processes

INVENTORY = ROOT / "molecule" / "inventory-fleet"
APPS = ("fleet-app1", "fleet-app2", "fleet-app3")
PROXIES = ("fleet-proxy1", "fleet-proxy2")
DATABASE = "fleet-db"
MONITOR = "fleet-monitor"
SPARE = "fleet-proxy3"
ALL = (*APPS, *PROXIES, DATABASE, MONITOR)
EXPORTER = "prometheus-node-exporter.service"
# Of these units no process may be replaced by a run that changes nothing.
UNITS = {
    **dict.fromkeys(
        APPS, ("nginx.service", "system-workbot.slice", "workbot-watchdog.service", "cron.service", EXPORTER)
    ),
    **dict.fromkeys(PROXIES, ("nginx.service", EXPORTER)),
    DATABASE: ("system-postgresql.slice", "prometheus-postgres-exporter.service", EXPORTER),
    MONITOR: ("prometheus.service", "prometheus-alertmanager.service", EXPORTER),
}
LOG = "/var/log/nginx/workbot.access.log"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def address_of(name: str) -> str:
    """Where the other hosts, and this machine, reach it; the same after a restart."""
    return (HOSTS / f"{name}.inside").read_text(encoding="utf-8").strip()


def apply(name: str, *options: str, inventory: Path = INVENTORY) -> subprocess.CompletedProcess[str]:
    """Runs a playbook of the collection on the fleet."""
    return subprocess.run(
        ["ansible-playbook", f"--inventory={inventory}", *options, f"workbot.stability.{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def site(*options: str, inventory: Path = INVENTORY) -> dict[str, int]:
    """Applies site.yml, which must succeed; the number of changed tasks of each host that took part."""
    run = apply("site", *options, inventory=inventory)
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: int(changed) for name, changed, _unreachable, _failed in RECAP.findall(run.stdout)}


def drift(folder: Path, *options: str) -> dict[str, Any]:
    """What drift.yml says of each host."""
    found = folder / "drift.json"
    run = apply("drift", *options, f"--extra-vars={json.dumps({'drift_file': str(found)})}")
    assert found.exists(), run.stdout + run.stderr
    hosts: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))["hosts"]
    return hosts


def running() -> dict[str, Processes]:
    """The processes of every host."""
    return {name: processes(host_of(name), units) for name, units in UNITS.items()}


@contextmanager
def inventory_of(*apps: str, proxies: Sequence[str] = PROXIES, **of_proxies: Any) -> Iterator[Path]:
    """An inventory of these app hosts and proxies, with variables of the proxies' own, and of the database server."""
    directory = ROOT / ".cache" / "inventory-fleet"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    content = yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))
    places = {**content["proxy"]["hosts"], **content.pop("spare")["hosts"]}
    content["app"]["hosts"] = {name: content["app"]["hosts"][name] for name in apps}
    content["proxy"]["hosts"] = {name: {**places[name], **of_proxies} for name in proxies}
    (directory / "hosts.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for name in ("group_vars", ".secrets"):
        (directory / name).symlink_to(INVENTORY / name)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def get(name: str, path: str, *, tls: bool = False, **headers: str) -> tuple[int, str]:
    """The status and the text of the answer that the host's Nginx gives this machine."""
    request = urllib.request.Request(f"http{'s' if tls else ''}://{address_of(name)}{path}", headers=headers)
    # Whether the certificate is the right one is the scenario nginx's matter.
    context = ssl._create_unverified_context()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with direct.open(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def logged(name: str, mark: str) -> list[dict[str, Any]]:
    """The lines of the host's access log that have this in them. It has no query: the agent is what marks a request."""
    return [json.loads(line) for line in host_of(name).run("grep -F %s %s", mark, LOG).stdout.splitlines()]


def answers(name: str, path: str = "/api/health") -> bool:
    try:
        return get(name, path)[0] == 200
    except OSError:
        return False


def served_by(proxy: str, mark: str, count: int = 12) -> set[str]:
    """The app hosts that a few requests through the proxy reach. Each of them must be answered well."""
    statuses = [get(proxy, "/api/health", **{"User-Agent": mark})[0] for _time in range(count)]
    assert set(statuses) == {200}, statuses
    return names_of(logged(proxy, mark))


def names_of(lines: Sequence[dict[str, Any]]) -> set[str]:
    """The app hosts that a proxy's log says it asked, the first time or again."""
    by_address = {address_of(name): name for name in APPS}
    asked = {part for line in lines for part in re.split(r"[ ,:]+", line["upstream"])}
    return {name for address, name in by_address.items() if address in asked}
