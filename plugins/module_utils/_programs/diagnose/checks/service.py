# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in the service: health, processes, memory, units, the active release, and the secrets
that the workers have: those that run now, not what a file says they should."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...._checks.findings import CRITICAL, OK, WARNING, Finding, ago
from ...._checks.health import Expectation, HealthReading, judge_health, judge_workers, read_health
from ...._checks.memory import collect_heaps, judge_host, judge_memory, limits_of, read_memory
from ...._checks.secret_check import SecretReader, SecretRules, judge_secrets
from ...._host.processes import read_trees
from ...._host.units import LOOK_SECONDS, unit_states
from ...._net.http import Request
from ...._pm2.errors import Pm2Error, Pm2TimeoutError
from ...._pm2.process import Pm2Process
from ...._service.active import active_activation, release_of, worker_socket
from ..runner import Context
from .proxy import instead_of_nginx
from .trends import judge_growth, judge_restarts
from .workers import daemon_memory

# An estimate; a random secret of 32 hexadecimal digits has about 110.
_LEAST_BITS = 64


def check_health(context: Context) -> list[Finding]:
    """The service itself, past the proxy."""
    return _named("health", judge_workers(context.health(), Expectation()))


def check_proxy(context: Context) -> list[Finding]:
    """The way that users take: through Nginx. Only whether it answers; what the service says is judged once."""
    section = context.section("health")
    if not section["url"]:
        return []
    if instead := instead_of_nginx(context):
        return [Finding("proxy", CRITICAL, instead)]
    headers = {"Host": section["host_name"]} if section["host_name"] else {}
    reading = read_health(Request(url=section["url"], headers=headers, timeout=context.http_timeout))
    return judge_proxy(reading)


def judge_proxy(reading: HealthReading) -> list[Finding]:
    return [dataclasses.replace(judge_health(reading, Expectation())[0], check="proxy")]


def _named(prefix: str, findings: Iterable[Finding]) -> list[Finding]:
    return [
        finding if finding.check.startswith(prefix) else dataclasses.replace(finding, check=f"{prefix}.{finding.check}")
        for finding in findings
    ]


def check_memory(context: Context) -> list[Finding]:
    levels = context.levels(heap="heap_percent", rss="rss_percent", host="host_memory_percent", cgroup="cgroup_percent")
    limits = limits_of(levels, context.section("memory"))
    try:
        processes = context.pm2()
    except Pm2Error as error:
        message = "the workers' memory is not known while PM2 does not answer; see the check processes"
        unknown = Finding("memory.processes", WARNING, message, timed=isinstance(error, Pm2TimeoutError))
        return [unknown, judge_host(read_memory([], []), limits)]
    trees = read_trees((f"{process.name}.{process.pm_id}", process.pid) for process in processes if process.pid)
    bodies = [reading.body for reading in context.health()]
    heaps = collect_heaps(processes, bodies, [tree.pid for tree in trees])
    growth = judge_growth(context, trees, limits.memory_restart_mb)
    return judge_memory(read_memory(trees, heaps), limits) + growth + daemon_memory(context)


def check_processes(context: Context) -> list[Finding]:
    section, existing = context.section("pm2"), context.existing
    active = None if existing else active_activation(context.section("release")["active"])
    processes = context.pm2()
    instances = existing.instances or max(1, len(processes)) if existing else int(section["instances"])
    findings = judge_processes(processes, section["prefix"], active, instances, context.now)
    thresholds = context.thresholds("restarts_per_hour")
    return findings + [judge_restarts(context, process, thresholds) for process in processes]


def judge_processes(
    processes: Iterable[Pm2Process], prefix: str, activation: str | None, instances: int, now: float
) -> list[Finding]:
    """Are as many workers of the active activation online as planned, and none of another?"""
    found = list(processes)
    active = [process for process in found if activation is None or process.name == f"{prefix}{activation}"]
    online = [process for process in active if process.online]
    status = OK if len(online) == instances else (WARNING if online else CRITICAL)
    states = ", ".join(f"{process.pm_id} {process.status}" for process in active if not process.online)
    message = f"{len(online)} of {instances} workers online" + (f" ({states})" if states else "")
    if online:
        youngest = max(process.started_at for process in online)
        message += f", the youngest for {ago(now - youngest)}"
    if status != OK:
        message += ". See the service's error log; apply the playbook to have the planned number again."
    findings = [Finding("processes", status, message, len(online), instances, "processes")]
    if others := sorted({process.name for process in found} - {process.name for process in active}):
        message = f"processes of other releases run: {', '.join(others)}. Unless a release is under way, delete them."
        findings.append(Finding("processes.other", WARNING, message, len(others), 0, "apps"))
    return findings


def check_release(context: Context) -> list[Finding]:
    if existing := context.existing:
        message = f"no release of these roles: the service runs under {existing.supervisor}, and is only looked at"
        return [Finding("release", OK, message, existing.supervisor)]
    section = context.section("release")
    return judge_release(section["active"], section["current"])


def judge_release(active: str, current: str) -> list[Finding]:
    """Do the two links that name the active release exist, agree, and lead to a socket?"""
    activation = active_activation(active)
    if activation is None:
        message = f"{active} is no link: no release is active. Deploy one with the playbook."
        return [Finding("release", CRITICAL, message)]
    release = release_of(activation)
    try:
        alive = stat.S_ISSOCK(worker_socket(active, 0).stat().st_mode)
    except OSError:
        alive = False
    if not alive:
        message = f"release {release} is active, but {active} leads to no socket. Restart the service's unit."
        return [Finding("release", CRITICAL, message, release)]
    named = Path(os.path.realpath(current)).name if Path(current).is_symlink() else None
    if named != release:
        message = f"release {release} is active, but {current} says {named or 'nothing'}. Apply the playbook once more."
        return [Finding("release", WARNING, message, release, named)]
    return [Finding("release", OK, f"release {release} is active", release)]


def check_units(context: Context) -> list[Finding]:
    names: list[str] = list(context.config["units"])
    return judge_units(names, unit_states(names, LOOK_SECONDS)) if names else []


def judge_units(names: Iterable[str], states: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Is every unit active? A pattern stands for the units it matches, and at least one."""
    loaded = {unit: state for unit, state in states.items() if state.get("LoadState") != "not-found"}
    findings = []
    for name in names:
        full = name if "." in name else f"{name}.service"
        matched = {unit: state for unit, state in loaded.items() if unit == full or fnmatch.fnmatchcase(unit, full)}
        if not matched:
            start = f"`systemctl start {full.partition('@')[0].removesuffix('.service')}`"
            message = f"no unit {full} is loaded. To start it where it is installed: {start}."
            findings.append(Finding(f"units.{full}", CRITICAL, message, "missing", "active"))
        findings += [_judge_unit(unit, state) for unit, state in matched.items()]
    return findings


def _judge_unit(unit: str, state: Mapping[str, Any]) -> Finding:
    active = state.get("ActiveState", "unknown")
    if active in ("active", "reloading"):
        restarts = int(state.get("NRestarts") or 0)
        suffix = f", restarted {restarts} times by systemd" if restarts else ""
        return Finding(f"units.{unit}", OK, f"{active} ({state.get('SubState', '')}){suffix}", active, "active")
    status = WARNING if active in ("activating", "deactivating") else CRITICAL
    start = "" if status == WARNING else f" To start it: `systemctl start {unit}`."
    message = f"{active}.{start} Why it is so: `journalctl -u {unit}`."
    return Finding(f"units.{unit}", status, message, active, "active")


def check_secrets(context: Context) -> list[Finding]:
    section = context.section("secrets")
    names, length = section["required_secrets"], int(section["secret_min_length"])
    reader = SecretReader(names, length)
    declared = reader.file(Path(section["file"]))
    findings = []
    try:
        running = [process for process in context.pm2() if process.online and process.pid]
    except Pm2Error as error:
        running, timed = [], isinstance(error, Pm2TimeoutError)
        message = "which processes run is not known while PM2 does not answer: only the file was looked at"
        findings.append(Finding("secrets.processes", WARNING, f"{message}. See the check processes.", timed=timed))
    holders = reader.processes((f"worker {process.pm_id}", process.pid or 0) for process in running)
    rules = SecretRules(names, length, _LEAST_BITS, context.config["user"])
    return findings + judge_secrets(rules, holders, declared)
