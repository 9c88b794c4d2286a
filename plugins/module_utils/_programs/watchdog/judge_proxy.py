# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with Nginx by one probe's readings, and why nothing may be done about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..._checks.workers import ANSWERED, HUNG
from ..._host.units import was_stopped
from ..codes import Code
from .inhibitions import BEGINNING, starting, stopped_unit
from .model import PROXY, Condition, Inhibition, Problem, Remedy
from .proxy import BROKEN, FULL, HEALTHY, TAKEN, Verdict
from .readings import Readings
from .settings import Settings


def judge_proxy(
    readings: Readings, settings: Settings, service_is_healthy: bool
) -> tuple[Condition | None, Inhibition | None]:
    """Whether users' way in is open. One that hangs behind a service that hangs says nothing about the proxy."""
    answer, unit = readings.proxy, readings.proxy_unit
    if answer is None or unit.get("LoadState") == "not-found":
        return None, None
    test = readings.proxy_test
    if test and test.state == TAKEN:
        condition = Condition(Code.PROXY_DEAD, f"Nginx does not answer: {test.message}", (Remedy.RESTART_PROXY,))
        return condition, _proxy_inhibition(unit, test, settings)
    if answer.kind == ANSWERED or (answer.kind == HUNG and not service_is_healthy):
        return None, None
    if test and test.state in (FULL, HEALTHY):
        # a restart would cut the connections of all its sites, for a client that fills it again
        message = (
            f"Nginx does not serve everybody: {answer.problem}. As root sees it, {test.message}. See its error log."
        )
        return Condition(Code.PROXY_FULL, message, ()), None
    code = Code.PROXY_HUNG if answer.kind == HUNG else Code.PROXY_DEAD
    condition = Condition(code, f"Nginx does not answer: {answer.problem}", (Remedy.RESTART_PROXY,))
    return condition, _proxy_inhibition(unit, test, settings)


def _proxy_inhibition(unit: Mapping[str, str], test: Verdict | None, settings: Settings) -> Inhibition | None:
    if was_stopped(unit):
        return stopped_unit(unit)
    if unit.get("ActiveState") in BEGINNING:
        return starting("systemd is starting Nginx", settings)
    if test and test.state == BROKEN:
        message = f"Nginx's configuration is broken, so it can't be started: {test.message}"
        return Inhibition(Code.PROXY_CONFIG_BROKEN, message, "critical")
    if test and test.state == TAKEN:
        message = f"{test.message}, which Nginx needs: stop it, then systemctl start nginx"
        return Inhibition(Code.PROXY_PORT_TAKEN, message, "critical")
    return None


def proxy_wrong(readings: Readings, service_is_healthy: bool) -> list[Problem]:
    """Nginx answers, but not what the service does. Restarting would cut off its other sites, and hardly help."""
    answer, test = readings.proxy, readings.proxy_test
    if not service_is_healthy or answer is None or answer.kind != ANSWERED or not answer.problem:
        return []
    if test and test.state == TAKEN:
        return []
    message = (
        f"the service is healthy, but not through Nginx: {answer.problem} See Nginx's configuration and error log."
    )
    return [Problem.of(PROXY, Code.PROXY_WRONG, "critical", message)]
