# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog's life, probe by probe, on a clock of its own; and the conditions that it meets."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    PROXY,
    SERVICE,
    Assessment,
    Condition,
    Event,
    Inhibition,
    Outcome,
    Problem,
    Remedy,
    Step,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import (
    Phase,
    Rules,
    State,
    begin,
    end,
    turn,
)

ESCALATION = (Remedy.KILL_WORKER, Remedy.RESTART_APP, Remedy.RECREATE_APP, Remedy.RESTART_DAEMON)
HUNG = Condition(Code.WORKER_HUNG, "worker 0 does not answer", ESCALATION, (0,))
MISSING = Condition(Code.WORKER_MISSING, "worker 0 is not there", ESCALATION[1:], (0,))
NGINX = Condition(Code.PROXY_DEAD, "Nginx does not run", (Remedy.RESTART_PROXY,))
RULES = Rules(
    failure_threshold=3,
    start_grace=30,
    backoff_initial=10,
    backoff_max=300,
    healthy_reset=600,
    restart_budget=5,
    restart_budget_window=900,
)


def slow(*workers: int) -> Condition:
    """Some do not answer, others do."""
    return Condition(Code.WORKER_HUNG, f"workers {workers} do not answer", ESCALATION[:2], workers, "warning")


class Story:
    """A watchdog's life: each probe has a time, what was seen, and leaves steps and events behind."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.now = 1000.0
        self.state = State()
        self.steps: list[tuple[float, Step]] = []
        self.events: list[Event] = []

    def probe(
        self,
        service: Condition | None = None,
        *,
        proxy: Condition | None = None,
        inhibition: Inhibition | None = None,
        problems: Sequence[Problem] = (),
        paused: bool = False,
        after: float = 5.0,
    ) -> Step | None:
        self.now += after
        seen = Assessment({SERVICE: service, PROXY: proxy}, {SERVICE: inhibition}, tuple(problems))
        came = turn(self.state, seen, self.now, self.rules, paused)
        self.state = came.state
        self.events += came.events
        if came.step:
            self.steps.append((self.now, came.step))
            self.state = begin(self.state, came.step, self.now, self.rules)
            ended = end(self.state, came.step, Outcome(True, "done", 1.0), self.now + 1.0, self.rules)
            self.now += 1.0
            self.state = ended.state
            self.events += ended.events
        return came.step

    def for_seconds(
        self, seconds: float, service: Condition | None = None, *, inhibition: Inhibition | None = None
    ) -> None:
        until = self.now + seconds
        while self.now < until:
            self.probe(service, inhibition=inhibition)

    @property
    def reported(self) -> list[tuple[str, str]]:
        return [(event.kind, event.code) for event in self.events]

    def phase(self, target: str = SERVICE) -> Phase:
        return self.state.targets[target].phase
