# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which alert rules are those of a fault of the table, and of what nothing recovers.

Metrics are written every five seconds. What is recovered sooner may not be seen in them, and need not: nobody is to be
paged for it. That its rule would be the right one shows the same fault, or one of its kind, that is not recovered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from prometheus import Alert

PROBLEM, WARNING = "NodejsServiceProblem", "NodejsServiceWarning"
DOWN, RESTARTS, FLAPPING = "NodejsServiceWorkerDown", "NodejsServiceRestarts", "NodejsServiceFlapping"
EXHAUSTED, OFF = "NodejsServiceRecoveryExhausted", "NodejsServiceRecoveryOff"
SILENT = "NodejsServiceWatchdogSilent"
ERRORS, LATENCY = "NodejsServiceErrorBudgetBurnsFast", "NodejsServiceLatencyBudgetBurnsFast"
# Of workers that can't start: the first alone while PM2 goes on trying, the other one too once it has given up. Which
# of the two it does depends on how old they were.
CRASHES, SERVES_NOT = f"{PROBLEM} service.crash_loop", f"{PROBLEM} service"


@dataclass(frozen=True)
class Expected:
    """The alerts of a fault, as an Alert is shown: its rule, and what is wrong where that is a label of it."""

    seen: frozenset[str] = frozenset()
    """Those that are pending or firing each time, since the fault lasts."""
    held: tuple[str, ...] = ()
    """In `HELD`: what shows those of a fault that is over sooner. They may be seen."""
    also: frozenset[str] = frozenset()
    """Others that may be seen: what depends on how busy the machine is, or how often workers could end."""

    def wrong(self, found: Iterable[Alert]) -> dict[str, set[str]]:
        """What is missing, and what is critical though it is not of this fault; empty when neither."""
        names = {str(alert) for alert in found}
        allowed = self.seen.union(self.also, *(HELD[what] for what in self.held))
        critical = {str(alert) for alert in found if alert.severity == "critical"}
        sides = {"missing": set(self.seen - names), "foreign": critical - allowed}
        return {side: alerts for side, alerts in sides.items() if alerts}


def seen(*alerts: str, held: tuple[str, ...] = (), also: tuple[str, ...] = ()) -> Expected:
    return Expected(frozenset(alerts), held, frozenset(also))


def held(*what: str, also: tuple[str, ...] = ()) -> Expected:
    return seen(held=what, also=also)


# Each of these tests/test_rules.py brings about where nothing recovers it, and waits for its alerts.
HELD = {
    "a worker hangs": frozenset({f"{WARNING} service"}),
    "a worker is unhealthy": frozenset({f"{WARNING} service"}),
    "a worker is near its limit": frozenset({f"{WARNING} service"}),
    "a worker cannot start": frozenset({DOWN}),
    "no worker can start": frozenset({CRASHES, DOWN}),
    "the daemon hangs": frozenset({SERVES_NOT}),
    "Nginx is dead": frozenset({f"{PROBLEM} proxy"}),
    "Nginx hangs": frozenset({f"{PROBLEM} proxy"}),
    "the configuration is broken": frozenset({f"{PROBLEM} proxy.proxy_config_broken"}),
    "the port is taken": frozenset({f"{PROBLEM} proxy.proxy_port_taken"}),
    "no log can be written": frozenset({f"{WARNING} watchdog.log_not_writable"}),
    "no state can be written": frozenset({f"{WARNING} watchdog.state_not_writable"}),
}
DATABASE, BUSY = f"{PROBLEM} service.database_down", f"{PROBLEM} service.cpu_short"
# By the fault's name in the table, in which figures may differ.
EXPECTED = {
    "worker killed (SIGKILL)": held("a worker cannot start"),
    "heap exhausted": held("a worker cannot start"),
    "worker stopped (SIGSTOP)": held("a worker hangs"),
    "event loop blocked for 30 s": held("a worker hangs"),
    "socket of a worker held by another program": held("a worker hangs"),
    "worker stopped while recovery was paused, from resume on": held("a worker hangs"),
    "the watchdog killed in the middle of a recovery": held("a worker hangs"),
    "a deployment, with a worker stopped in the middle of it": held("a worker hangs"),
    "worker stopped (SIGSTOP) during a build": held("a worker hangs"),
    "a drain in which the new workers are dead and an old one is stopped": held("a worker hangs"),
    # seldom seen: they are replaced before metrics are written
    "all workers stopped (SIGSTOP) *": seen(also=(f"{PROBLEM} service", DOWN, ERRORS)),
    "log directory gone, then a worker hung": held("no log can be written"),
    "state file not writable, then a worker hung": held("no state can be written"),
    "health of one worker: *": held("a worker is unhealthy"),
    "* leaked to the limit, under load": held("a worker is near its limit", also=(LATENCY,)),
    "health 500 of every process, repaired by hand": seen(SERVES_NOT, f"{PROBLEM} service.budget", EXHAUSTED, FLAPPING),
    "storm: every process dies at once, *": seen(CRASHES, RESTARTS, held=("no worker can start",), also=(SERVES_NOT,)),
    "storm soon after a start, *": seen(SERVES_NOT, DOWN, held=("no worker can start",)),
    "storm of * workers *": held("no worker can start", also=(SERVES_NOT,)),
    "crash just over min_uptime (11 s), again and again": held("no worker can start", also=(SERVES_NOT,)),
    "given up by PM2 already when the watchdog starts": held("no worker can start", also=(SERVES_NOT,)),
    "PM2's daemon killed": held("no worker can start", also=(SERVES_NOT,)),
    "PM2's daemon hangs, under load": held("the daemon hangs", also=(LATENCY,)),
    # replaced without a problem: nobody notices anything
    "PM2's daemon has grown, under load": seen(also=(LATENCY,)),
    "stopped by an operator (pm2 stop)": seen(OFF),
    "Nginx killed": held("Nginx is dead"),
    "Nginx hung *": held("Nginx hangs"),
    "Nginx dead and its configuration broken by hand, *": held("the configuration is broken", "Nginx is dead"),
    "Nginx dead, and its port taken by another program *": held("the port is taken", "Nginx is dead"),
    "PostgreSQL stopped*": seen(DATABASE, also=(BUSY,)),
    "PostgreSQL slow *": seen(DATABASE),
    "PostgreSQL out of connections": seen(f"{PROBLEM} service.database_full"),
    # of workers whose pools are full of sessions that wait
    "a table locked for * s, under load": seen(
        f"{PROBLEM} service.database_locked", also=(ERRORS, LATENCY, f"{PROBLEM} service.database_full")
    ),
    "* busy programs for * s": seen(also=(BUSY,)),
    "processors overloaded by others": seen(BUSY, also=(LATENCY,)),
    "disk of the logs full": held("no log can be written"),
    "state file corrupt": seen(f"{WARNING} watchdog.state_corrupt"),
    # systemd brings it back in time
    "the watchdog killed": seen(),
    "the watchdog hung *": seen(),
}


def expected(fault: str) -> Expected:
    (found,) = (entry for name, entry in EXPECTED.items() if fnmatchcase(fault, name))
    return found
