# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of active_release did, and what it tells people: one sentence, the details, the diff."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._pm2.ecosystem import shown
from .actual import Actual
from .model import Places
from .plan import Decision, described

_LONGEST_REASON = 80


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    decision: Decision
    before: Actual = field(default_factory=Actual)
    changed: bool = False
    seconds: float = 0
    timeline: list[dict[str, Any]] = field(default_factory=list)
    drained: dict[str, float] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    proxy: str = "not asked"
    ended: list[str] = field(default_factory=list)
    """What an interrupted run had left running."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Put what is done here into the timeline."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.timeline.append({"step": name, "seconds": round(time.monotonic() - began, 2)})

    def report(self, service: str, check_mode: bool) -> dict[str, Any]:
        """The module's result."""
        decision = self.decision
        return {
            "changed": self.changed,
            "msg": self.sentence(service, check_mode),
            "action": decision.action,
            "release": decision.release,
            "activation": decision.activation.name,
            "previous": decision.previous,
            "reasons": list(decision.reasons),
            "leftovers": list(decision.leftovers),
            "timeline": self.timeline,
            "drained": self.drained,
            "held": self.held,
            "proxy": self.proxy,
            "seconds": self.seconds,
        }

    def sentence(self, service: str, check_mode: bool) -> str:
        decision = self.decision
        name = decision.activation.name
        because = f" ({'; '.join(map(_short, decision.reasons))})" if decision.reasons else ""
        if decision.action == "none":
            around = ", ".join(decision.unsettled(self.before)) if self.changed else ""
            done = f"; {'would be ' if check_mode else ''}put in order: {around}" if around else ""
            return f"{service}: release {name} is active{done}"
        if check_mode:
            verb = "activated" if decision.action == "activate" else "have dead workers restarted"
            return f"{service}: release {name} would be {verb}{because}"
        if decision.action == "restart":
            return f"{service}: dead workers of release {name} restarted after {self.seconds:g} s{because}"
        text = f"{service}: release {name} active after {self.seconds:g} s{because}"
        if decision.previous:
            text += f", previous {decision.previous}"
        if self.drained:
            left = f", {self.drained['left']} connections cut" if self.drained["left"] else ""
            text += f", drained in {self.drained['seconds']:g} s{left}"
        if self.held:
            text += f", {self.held['requests']} requests held for {self.held['seconds']:g} s"
        return text + self._unknown_workers

    @property
    def _unknown_workers(self) -> str:
        """What is to be done where the proxy can't know as many sockets as there are workers now."""
        known, there = len(self.before.sockets), len(self.decision.sockets)
        return f"; site.yml tells the proxy of {there - known} more workers" if 0 < known < there else ""

    def diff(self, places: Places) -> list[dict[str, str]]:
        """The ecosystem file, the links, and what is to be done and why."""
        decision, before = self.decision, self.before
        active = before.active.name if before.active else ""
        links_before = _links(active, before.sockets, before.current, before.previous)
        links_after = _links(decision.activation.name, decision.sockets, decision.release, decision.previous)
        steps = []
        steps += [f"remove {name}: left by an interrupted run\n" for name in decision.leftovers]
        steps += [f"delete {described(process)}: nobody has declared it\n" for process in decision.strangers]
        if decision.action != "none":
            steps.append(f"{decision.action} {decision.activation.name}: {', '.join(decision.reasons)}\n")
        parts = {
            str(places.config_file(decision.activation)): shown(before.config, decision.config),
            "links": (links_before, links_after),
            "steps": ("", "".join(steps)),
        }
        return [
            {"before_header": header, "after_header": header, "before": old, "after": new}
            for header, (old, new) in parts.items()
            if old != new
        ]


def _short(reason: str) -> str:
    """Values may be long lists; the diff has them in full."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason.partition(':')[0]} changed"


def _links(active: str, sockets: Iterable[Path], current: str, previous: str) -> str:
    workers = {f"active/{number}.sock": str(socket) for number, socket in enumerate(sockets)}
    names = {"active": active, **workers, "current": current, "previous": previous}
    return "".join(f"{link} -> {target}\n" for link, target in names.items() if target)
