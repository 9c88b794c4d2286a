# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with Nginx by one probe, and when nothing may be done about it."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import Answered
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import PROXY, Remedy
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.proxy import Verdict
from watch_samples import CUT, FAILED, GONE, HANGS, HEALTHY, RUNNING, SILENT, STOPPED, STOPPING, WRONG, probe


def test_a_proxy_that_is_being_stopped_is_left_alone() -> None:
    inhibition = probe(proxy=SILENT, proxy_unit=STOPPING).inhibitions[PROXY]
    assert inhibition is not None
    assert (inhibition.code, inhibition.severity) == ("stopped_by_operator", "info")


def test_a_proxy_that_is_gone_or_hangs_is_restarted() -> None:
    for answer, code in ((GONE, "proxy_dead"), (SILENT, "proxy_hung")):
        found = probe(proxy=answer, proxy_unit=FAILED).conditions[PROXY]
        assert found is not None
        assert (found.code, found.escalation) == (code, (Remedy.RESTART_PROXY,))


def test_a_proxy_that_waits_for_a_hung_service_is_not_to_blame() -> None:
    seen = probe(proxy=SILENT, **HANGS)
    assert seen.conditions[PROXY] is None


@pytest.mark.parametrize(
    ("unit", "config", "code"),
    [(STOPPED, "", "stopped_by_operator"), (FAILED, "unknown directive", "proxy_config_broken")],
)
def test_a_proxy_that_was_stopped_or_cannot_start_is_left_alone(unit: dict[str, str], config: str, code: str) -> None:
    test = Verdict("broken", config) if config else Verdict("dead", "its main process is not there")
    inhibition = probe(proxy=GONE, proxy_unit=unit, proxy_test=test).inhibitions[PROXY]
    assert inhibition is not None
    assert inhibition.code == code


@pytest.mark.parametrize(("answer", "state"), [(CUT, "full"), (SILENT, "full"), (CUT, "healthy")])
def test_a_proxy_that_works_but_has_no_connection_left_is_reported_and_not_restarted(
    answer: Answered, state: str
) -> None:
    seen = probe(proxy=answer, proxy_unit=RUNNING, proxy_test=Verdict(state, "it closes connections at once"))
    proxy = seen.conditions[PROXY]
    assert proxy is not None
    assert (proxy.code, proxy.severity, proxy.escalation, seen.inhibitions[PROXY]) == (
        "proxy_full",
        "critical",
        (),
        None,
    )


@pytest.mark.parametrize("state", ["", "dead", "hung"])
def test_a_proxy_that_root_finds_dead_or_hung_or_cannot_see_is_restarted(state: str) -> None:
    proxy = probe(proxy=CUT, proxy_unit=RUNNING, proxy_test=Verdict(state, "") if state else None).conditions[PROXY]
    assert proxy is not None
    assert (proxy.code, proxy.escalation) == ("proxy_dead", (Remedy.RESTART_PROXY,))


def test_a_host_without_nginx_has_no_proxy_to_be_unhealthy() -> None:
    assert probe(proxy=GONE, proxy_unit={"LoadState": "not-found"}).conditions[PROXY] is None


def test_a_wrong_answer_of_the_proxy_is_reported_and_not_acted_on() -> None:
    seen = probe(proxy=WRONG)
    assert seen.conditions[PROXY] is None
    assert [problem.key for problem in seen.problems] == ["proxy.proxy_wrong"]
    assert probe(proxy=WRONG, **HANGS).problems == ()
    assert probe(proxy=WRONG, changing=True).problems == ()


TAKEN = Verdict("taken", "another program (python3, pid 123) listens on port 80")


@pytest.mark.parametrize("answer", [HEALTHY.proxy, WRONG, SILENT, CUT])
def test_while_another_program_has_its_port_nginx_is_not_started(answer: Answered) -> None:
    """Whatever that program answers, and without blaming Nginx's configuration for it."""
    seen = probe(proxy=answer, proxy_unit=FAILED, proxy_test=TAKEN)
    proxy, inhibition = seen.conditions[PROXY], seen.inhibitions[PROXY]
    assert proxy is not None and inhibition is not None
    assert (proxy.code, proxy.severity) == ("proxy_dead", "critical")
    assert (inhibition.code, inhibition.severity, inhibition.expires_after) == ("proxy_port_taken", "critical", None)
    assert inhibition.message == (
        "another program (python3, pid 123) listens on port 80, which Nginx needs: stop it, then systemctl start nginx"
    )
    assert seen.problems == ()


def test_what_an_operator_has_put_in_the_place_of_nginx_is_left_alone() -> None:
    inhibition = probe(proxy=HEALTHY.proxy, proxy_unit=STOPPED, proxy_test=TAKEN).inhibitions[PROXY]
    assert inhibition is not None
    assert inhibition.code == "stopped_by_operator"


def test_an_answer_counts_whatever_else_root_finds() -> None:
    assert probe(proxy=HEALTHY.proxy, proxy_unit=RUNNING, proxy_test=Verdict("dead", "")).conditions[PROXY] is None
