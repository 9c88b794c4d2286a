# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of active_release tells people: one sentence, the details, the diff."""

from __future__ import annotations

from typing import Any

from .._pm2.ecosystem import shown
from .model import Places
from .run import Outcome

_LONGEST_REASON = 80


def report(service: str, outcome: Outcome, check_mode: bool) -> dict[str, Any]:
    """The module's result."""
    decision = outcome.decision
    return {
        "changed": outcome.changed,
        "msg": sentence(service, outcome, check_mode),
        "action": decision.action if decision else "none",
        "release": decision.activation.release if decision else "",
        "activation": decision.activation.name if decision else "",
        "previous": decision.previous if decision else "",
        "reasons": list(decision.reasons) if decision else [],
        "leftovers": list(decision.leftovers) if decision else [],
        "timeline": outcome.timeline,
        "drained": outcome.drained,
        "proxy": outcome.proxy,
        "saved": outcome.saved,
        "outdated_daemon": list(outcome.outdated.difference()) if outcome.outdated else [],
        "seconds": outcome.seconds,
    }


def sentence(service: str, outcome: Outcome, check_mode: bool) -> str:
    decision = outcome.decision
    if decision is None:
        return f"{service}: there is no release on this host yet"
    name = decision.activation.name
    because = f" ({'; '.join(map(_short, decision.reasons))})" if decision.reasons else ""
    if decision.action == "none":
        done = "would be put in order" if check_mode else "was put in order"
        return f"{service}: release {name} is active" + (f"; what lay around it {done}" if outcome.changed else "")
    if check_mode:
        verb = "activated" if decision.action == "activate" else "have dead workers restarted"
        return f"{service}: release {name} would be {verb}{because}"
    if decision.action == "restart":
        return f"{service}: dead workers of release {name} restarted after {outcome.seconds:g} s{because}"
    text = f"{service}: release {name} active after {outcome.seconds:g} s{because}"
    if decision.previous:
        text += f", previous {decision.previous}"
    if outcome.drained:
        left = f", {outcome.drained['left']} connections cut" if outcome.drained["left"] else ""
        text += f", drained in {outcome.drained['seconds']:g} s{left}"
    return text


def _short(reason: str) -> str:
    """Values may be long lists; the diff has them in full."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason.partition(':')[0]} changed"


def diff(places: Places, outcome: Outcome) -> list[dict[str, str]]:
    """The ecosystem file, the links, and what is to be done and why."""
    decision, before = outcome.decision, outcome.before
    if decision is None:
        return []
    active = before.active
    links_before = _links(active.name if active else "", before.current, before.previous)
    links_after = _links(decision.activation.name, decision.current, decision.previous)
    steps = []
    if outcome.outdated and outcome.restarts_daemon:
        steps.append(f"restart the PM2 daemon: {', '.join(outcome.outdated.difference())}\n")
    steps += [f"remove {name}: left by an interrupted run\n" for name in decision.leftovers]
    if decision.action != "none":
        steps.append(f"{decision.action} {decision.activation.name}: {', '.join(decision.reasons)}\n")
    parts = [
        _part(str(places.config_file), *shown(before.config, decision.config)),
        _part("links", links_before, links_after),
        _part("steps", "", "".join(steps)),
    ]
    return [part for part in parts if part["before"] != part["after"]]


def _links(active: str, current: str, previous: str) -> str:
    names = {"active.sock": active and f"{active}.sock", "current": current, "previous": previous}
    return "".join(f"{link} -> {target}\n" for link, target in names.items() if target)


def _part(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}
