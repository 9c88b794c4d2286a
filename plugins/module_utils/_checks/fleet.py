# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a host of a fleet is that does not run the service itself: a proxy, or the database server."""

from __future__ import annotations

import dataclasses
import http
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._host.command import quiet_run
from .._host.units import UnitError, failed_units
from .._net.http import HttpError, Request, fetch
from .._net.websocket import host_header
from .certificates import Served, check_served
from .findings import CRITICAL, OK, UNKNOWN, WARNING, FallingThresholds, Finding, worst_of
from .health import Expectation, judge_health, read_health
from .nginx import instead_at

_AT_ONCE = 16
# as the role diagnostics presets them
_CERTIFICATE_DAYS = FallingThresholds(warning=21, critical=7)
_TIMED_OUT = 124
_DISCARD = "file-backup-repository-discard.service"
_WORDS = {
    0: "accepts connections",
    1: "refuses connections: it starts, stops or recovers. See its log",
    2: "does not answer. Start the unit postgresql",
}


@dataclass(frozen=True)
class Upstream:
    """An app host as the proxy reaches it."""

    name: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        return f"http://{host_header(self.host)}:{self.port}{self.path}"


def check_proxy(options: Mapping[str, Any]) -> list[Finding]:
    """The proxy's own answer, the app hosts behind it, who is out of rotation, the certificate.

    `options` are those of the module fleet_check.
    """
    headers = {"Host": options["host_name"]} if options["host_name"] else {}

    def ask(address: str) -> list[Finding]:
        request = Request(url=address, headers=headers, timeout=options["timeout"])
        return judge_health(read_health(request), Expectation())

    drained = read_drained(Path(options["drained_file"])) if options["drained_file"] else {}
    upstreams = [Upstream(**one, path=options["upstream_path"]) for one in options["upstreams"]]
    instead = instead_at(options["proxy_url"])
    answer = [Finding("http", CRITICAL, instead)] if instead else ask(options["proxy_url"])
    findings = [dataclasses.replace(finding, check="proxy") for finding in answer]
    findings += judge_upstreams(upstreams, drained, ask) + judge_rotation(upstreams, drained)
    if options["certificate_url"]:
        served = Served(options["service"], options["certificate_url"], options["host_name"], options["timeout"])
        findings.append(check_served(served, time.time(), _CERTIFICATE_DAYS))
    return findings


def read_drained(path: Path) -> dict[str, str]:
    """Who is out of rotation, and why; nobody where there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(reason) for name, reason in found.items()} if isinstance(found, dict) else {}


def judge_upstreams(
    upstreams: Sequence[Upstream], drained: Mapping[str, str], ask: Callable[[str], list[Finding]]
) -> list[Finding]:
    """As long as one answers the others' requests go there: what does not answer is a warning, all of them critical."""
    rotation = [one for one in upstreams if one.name not in drained]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda one: ask(one.url), rotation))
    bad = {
        one.name: next(finding.message for finding in answer if finding.status == CRITICAL)
        for one, answer in zip(rotation, answers, strict=True)
        if worst_of(answer) == CRITICAL
    }
    well = len(rotation) - len(bad)
    status = CRITICAL if not well else WARNING
    findings = [Finding("upstreams", status, f"{name}: {why}", well, len(rotation)) for name, why in bad.items()]
    if not findings and rotation:
        findings = [Finding("upstreams", OK, f"all {well} app hosts in rotation answer", well, len(rotation))]
    return findings


def judge_rotation(upstreams: Sequence[Upstream], drained: Mapping[str, str]) -> list[Finding]:
    """Out of rotation is what somebody wanted, and what somebody may have forgotten."""
    names = [one.name for one in upstreams]
    out = [name for name in names if name in drained]
    status = CRITICAL if out == names else WARNING
    advice = "To put it back: the playbook drain with -e drain_state=restored"
    return [
        Finding(
            "rotation", status, f"{name} is out of rotation ({drained[name]}). {advice} -e drain_host={name}.", name
        )
        for name in out
    ]


def check_database(port: int, timeout: float) -> list[Finding]:
    """Whether the server of this host accepts connections; needs no login."""
    command = ["pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}", f"--timeout={max(1, round(timeout))}"]
    return [_asked("database", command, timeout, port, judge_database)]


def check_repository(port: int, timeout: float) -> list[Finding]:
    """Whether the repository host answers pgBackRest on other hosts; needs no certificate."""
    command = ["pgbackrest", "server-ping", "127.0.0.1", f"--tls-server-port={port}"]
    return [_asked("repository", command, timeout, port, judge_repository)]


def check_file_repository(port: int, timeout: float) -> list[Finding]:
    """Whether the repository host takes backups of services' files from other hosts, and could remove old ones.

    Without a password it says 401.
    """
    request = Request(url=f"https://127.0.0.1:{port}/", timeout=timeout, validate_certs=False)
    try:
        status = fetch(request).status
        problem = "" if status == http.HTTPStatus.UNAUTHORIZED else f"answers with {status}"
    except HttpError as error:
        status, problem = 0, f"does not answer: {error}"
    ending = f"{problem}. See the log of the unit file-backup-repository, and start it." if problem else "answers"
    findings = [Finding("files_repository", CRITICAL if problem else OK, f"rclone at port {port} {ending}", status)]
    try:
        has_old_ones = _DISCARD in failed_units()
    except UnitError as error:
        return [*findings, Finding("files_repository", UNKNOWN, str(error))]
    if has_old_ones:
        advice = f"`journalctl -u {_DISCARD}` says why; `systemctl start {_DISCARD}` tries again."
        findings.append(Finding("files_repository", WARNING, f"old backups could not be removed. {advice}"))
    return findings


def _asked(
    check: str, command: Sequence[str], timeout: float, port: int, judge: Callable[[int, int], Finding]
) -> Finding:
    """From the command's exit status; that of timeout(1) after twice the time."""
    try:
        code = quiet_run(command, timeout=2 * timeout).returncode
    except subprocess.TimeoutExpired:
        code = _TIMED_OUT
    except OSError as error:
        return Finding(check, CRITICAL, f"{command[0]} can't be run: {error}. Apply site.yml to this host.")
    return judge(code, port)


def judge_repository(code: int, port: int) -> Finding:
    """From the exit status of `pgbackrest server-ping`."""
    words = "answers" if code == 0 else "does not answer. See the log of the unit pgbackrest, and start it."
    return Finding("repository", OK if code == 0 else CRITICAL, f"pgBackRest at port {port} {words}", code)


def judge_database(code: int, port: int) -> Finding:
    """From the exit status of pg_isready."""
    words = _WORDS.get(code, f"was not asked: pg_isready ended with {code}. Run it by hand")
    end = "" if code == 0 else "."
    return Finding("database", OK if code == 0 else CRITICAL, f"PostgreSQL at port {port} {words}{end}", code)
