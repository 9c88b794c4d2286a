# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the monitor of an inventory is: whether Prometheus and Alertmanager answer, and reach what they ask."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .._net.http import HttpError, Request, fetch
from .findings import CRITICAL, OK, WARNING, Finding

_PROMETHEUS, _ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"
_LARGEST = 16 * 1024 * 1024
_ANSWERS = 200
_ADVICE = "See journalctl -u {unit}; site.yml with --tags metrics sets it up again."


def check_monitor(timeout: float) -> list[Finding]:
    """Both as they answer on the host itself, and the targets."""
    status, body = _ask(f"{_PROMETHEUS}/api/v1/targets?state=active", timeout)
    ready, said = _ask(f"{_ALERTMANAGER}/-/ready", timeout)
    return [
        _daemon("prometheus", status, body),
        *(judge_targets(_targets(body)) if status == _ANSWERS else ()),
        _daemon("alertmanager", ready, said),
    ]


def _ask(url: str, timeout: float) -> tuple[int, str]:
    """The status and the body; 0 and the reason where there is no answer."""
    try:
        answer = fetch(Request(url=url, timeout=timeout, max_body=_LARGEST))
    except HttpError as error:
        return 0, str(error)
    return answer.status, answer.body.decode("utf-8", "replace")


def _daemon(name: str, status: int, said: str) -> Finding:
    if status == _ANSWERS:
        return Finding(name, OK, f"{name} answers")
    unit = name if name == "prometheus" else f"prometheus-{name}"
    why = f"status {status}" if status else said
    return Finding(name, CRITICAL, f"{name} does not answer: {why}. {_ADVICE.format(unit=unit)}")


def _targets(body: str) -> list[Mapping[str, Any]]:
    try:
        found: list[Mapping[str, Any]] = json.loads(body)["data"]["activeTargets"]
    except (ValueError, KeyError, TypeError):
        return []
    return found


def judge_targets(targets: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """One that is not up is a warning, all of them critical; the reason is Prometheus' own."""
    down = [target for target in targets if target["health"] == "down"]
    up = sum(target["health"] == "up" for target in targets)
    if not down and targets:
        later = "" if up == len(targets) else ", the others were not asked yet"
        said = f"{up} of {len(targets)} exporters and servers answer{later}"
        return [Finding("targets", OK, said, up, len(targets))]
    if not targets:
        return [Finding("targets", CRITICAL, "Prometheus has nothing to ask. Apply site.yml to this host.", 0)]
    return [
        Finding(
            "targets",
            WARNING if up else CRITICAL,
            f"{target['labels']['job']} of {target['labels']['instance']} does not answer: {target['lastError']}",
            up,
            len(targets),
        )
        for target in down
    ]
