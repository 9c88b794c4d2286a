# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each fault as the readings show it: what is wrong, what may be done, and what must be left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import HealthReading
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import ANSWERED, WorkerAnswer
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import HUNG as NO_ANSWER
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import ABSENT, HUNG, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import (
    Answered,
    WorkersReading,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.diagnosis import (
    NOT_KNOWN,
    DatabaseAnswer,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.judge import judge
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    PROXY,
    SERVICE,
    Assessment,
    Condition,
    Remedy,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.usage import MB, Room
from watch_samples import (
    ALL_HANG,
    FAILED,
    GONE,
    HANGS,
    SILENT,
    STARTING,
    STOPPED,
    STOPPING,
    WRONG,
    probe,
    readings,
    service,
    settings,
    worker,
)


def unhealthy(recovering: bool = False, **changes: Any) -> Condition:
    """The condition of a service for which something may be done."""
    condition, inhibition = service(recovering, **changes)
    assert condition is not None
    assert inhibition is None
    return condition


def test_a_healthy_service_has_nothing() -> None:
    assert probe() == Assessment({SERVICE: None, PROXY: None}, {SERVICE: None, PROXY: None})


def test_a_worker_that_is_not_seen_among_others_is_killed_alone() -> None:
    found = unhealthy(answers=WorkersReading({100: ""}, (SILENT,)))
    assert (found.code, found.workers, found.severity) == ("worker_hung", (1,), "warning")
    assert found.escalation == (Remedy.KILL_WORKER, Remedy.RESTART_WORKER)


def test_who_listens_in_the_place_of_a_worker_is_named() -> None:
    hung = WorkerAnswer(HealthReading(None, "no answer"), 4711, 3000.0, NO_ANSWER)
    taken = WorkersReading.of([hung], pids=(100, 101))
    assert taken.strangers == (4711,)
    assert unhealthy(answers=replace(taken, answers={100: ""})).message == (
        "worker 1 (process 101) did not answer within 3 s while others do; process 4711 listens in its place"
    )


def test_one_that_a_signal_has_stopped_is_killed_without_another_look() -> None:
    found = unhealthy(answers=WorkersReading({100: ""}, (SILENT,)), stopped=frozenset({101}))
    assert (found.code, found.workers, found.severity, found.certain) == ("worker_hung", (1,), "warning", True)
    assert found.escalation[0] is Remedy.KILL_WORKER
    assert not unhealthy(answers=WorkersReading({100: ""}, (SILENT,)), stopped=frozenset({100})).certain


def test_when_all_hang_the_escalation_goes_up_to_the_daemon() -> None:
    found = unhealthy(answers=WorkersReading({}, (SILENT, SILENT)))
    assert (found.code, found.workers, found.severity) == ("worker_hung", (0, 1), "critical")
    assert found.escalation[0] is Remedy.KILL_WORKER
    assert found.escalation[-1] is Remedy.RESTART_DAEMON


def test_a_socket_that_nobody_serves_needs_a_restart_of_the_app() -> None:
    found = unhealthy(answers=WorkersReading({}, (GONE, GONE)))
    assert (found.code, found.escalation[0]) == ("no_answer", Remedy.RESTART_APP)


def test_answers_of_nobody_knows_whom_condemn_no_worker() -> None:
    """A kernel that does not know, and a service whose body has no pid."""
    assert service(answers=WorkersReading({}, (Answered(ANSWERED, ""), Answered(ANSWERED, "")))) == (None, None)
    assert unhealthy(answers=WorkersReading({}, (WRONG, WRONG))).code == "unhealthy"


def test_one_unhealthy_worker_is_reloaded_first() -> None:
    found = unhealthy(answers=WorkersReading({100: "", 101: "answered 500"}))
    assert (found.code, found.workers, found.escalation[0]) == ("unhealthy", (1,), Remedy.RELOAD_WORKER)
    assert "answered 500" in found.message


def test_a_slow_starter_is_waited_for() -> None:
    starting = (worker(0), worker(1, age=20.0, answered=False))
    assert service(workers=starting, answers=WorkersReading({100: ""})) == (None, None)
    alone = (worker(0, age=20.0, answered=False),)
    condition, inhibition = service(workers=alone, answers=WorkersReading({}, (SILENT,)))
    assert condition is not None
    assert inhibition is not None
    assert inhibition.code == "starting"


def test_one_that_has_answered_is_no_slow_starter() -> None:
    young = (worker(0), worker(1, age=20.0))
    assert unhealthy(workers=young, answers=WorkersReading({100: ""})).code == "worker_hung"


def test_after_a_remedy_nothing_is_healthy_before_it_answers() -> None:
    young = (worker(0), worker(1, age=2.0, answered=False))
    assert unhealthy(True, workers=young, answers=WorkersReading({100: ""})).code == "worker_hung"
    coming = (worker(0), worker(1, "waiting restart"))
    assert unhealthy(True, workers=coming, answers=WorkersReading({100: ""})).code == "worker_missing"
    # as one that PM2 still lists although it was just killed
    unnoticed = (worker(0), worker(1, age=None))
    assert unhealthy(True, workers=unnoticed, answers=WorkersReading({100: ""})).code == "worker_missing"


def test_pm2s_own_restarts_go_on_by_themselves() -> None:
    workers = (worker(0), worker(1, "waiting restart"))
    assert service(workers=workers, answers=WorkersReading({100: ""})) == (None, None)


@pytest.mark.parametrize(("restarts", "code"), [(4, "starting"), (5, "crash_loop")])
def test_a_crash_loop_is_reported_and_left_to_pm2(restarts: int, code: str) -> None:
    seen = probe(workers=(worker(0, "waiting restart"),), answers=WorkersReading({}), restarts=restarts)
    inhibition = seen.inhibitions[SERVICE]
    assert inhibition is not None
    assert inhibition.code == code
    assert [(item.code, item.severity) for item in seen.problems] == [("crash_loop", "critical")] * (restarts == 5)


def test_a_crash_loop_beside_workers_that_serve_is_a_warning() -> None:
    (problem,) = probe(restarts=7).problems
    assert (problem.severity, problem.values["restarts"]) == ("warning", 7)


def test_a_worker_that_pm2_has_lost_is_reported() -> None:
    (problem,) = probe(surplus=(77,)).problems
    assert (problem.key, problem.values) == ("service.worker_surplus", {"processes": [77]})
    assert "Restart shop@1a2b3c.service when" in problem.message


def test_workers_that_pm2_gave_up_are_started_again() -> None:
    all_gone = unhealthy(workers=(worker(0, "errored"), worker(1, "errored")), answers=WorkersReading({}))
    assert (all_gone.code, all_gone.workers, all_gone.severity) == ("worker_missing", (0, 1), "critical")
    one_gone = unhealthy(workers=(worker(0), worker(1, "errored")), answers=WorkersReading({100: ""}))
    assert (one_gone.workers, one_gone.severity, one_gone.escalation) == ((1,), "warning", (Remedy.RESTART_WORKER,))


def test_a_worker_that_pm2_does_not_know_is_missing() -> None:
    found = unhealthy(workers=(worker(0),), answers=WorkersReading({100: ""}))
    assert (found.code, found.workers) == ("worker_missing", ())
    assert "1 of 2" in found.message


def test_an_app_that_pm2_does_not_know_is_recreated() -> None:
    assert unhealthy(workers=(), answers=WorkersReading({})).escalation[0] is Remedy.RECREATE_APP


def test_an_operators_stop_is_left_alone() -> None:
    _condition, inhibition = service(workers=(worker(0, "stopped"), worker(1, "stopped")), answers=WorkersReading({}))
    assert inhibition is not None
    assert (inhibition.code, inhibition.severity) == ("stopped_by_operator", "warning")
    # one that was stopped among others that serve is not missed
    assert service(workers=(worker(0), worker(1, "stopped")), answers=WorkersReading({100: ""})) == (None, None)


@pytest.mark.parametrize(("state", "code"), [(ABSENT, "daemon_dead"), (HUNG, "daemon_hung")])
def test_a_daemon_that_is_gone_or_hangs_is_restarted(state: str, code: str) -> None:
    found = unhealthy(daemon=DaemonReading(state, "no answer"), pm2_unit=FAILED, workers=(), answers=WorkersReading({}))
    assert (found.code, found.escalation) == (code, (Remedy.RESTART_DAEMON,))


def test_one_that_hangs_is_replaced_while_its_workers_serve_and_restarted_where_that_was_in_vain() -> None:
    hangs: dict[str, Any] = {"daemon": DaemonReading(HUNG, "no answer"), "workers": (), "answers": WorkersReading({})}
    assert unhealthy(**hangs, renewable=True).escalation == (Remedy.RENEW_ACTIVATION, Remedy.RESTART_DAEMON)
    assert unhealthy(**hangs).escalation == (Remedy.RESTART_DAEMON,)
    # beside one that is gone no worker serves
    gone = unhealthy(**{**hangs, "daemon": DaemonReading(ABSENT, "none")}, renewable=True)
    assert gone.escalation == (Remedy.RESTART_DAEMON,)


@pytest.mark.parametrize(
    ("unit", "unhealthy_for", "code"),
    [(STOPPED, 500.0, "stopped_by_operator"), (STARTING, 5.0, "starting"), (STARTING, 31.0, None), ({}, 5.0, None)],
)
def test_systemds_own_start_gets_its_chance(unit: dict[str, str], unhealthy_for: float, code: str | None) -> None:
    daemon = DaemonReading(ABSENT, "no daemon")
    _condition, inhibition = service(daemon=daemon, pm2_unit=unit, daemon_unhealthy_for=unhealthy_for, workers=())
    assert (inhibition.code if inhibition else None) == code
    # the activation's own unit, and not the template of which the settings tell
    assert inhibition is None or "shop@1a2b3c.service" in inhibition.message


def test_what_a_killed_deployment_has_stopped_no_operator_has() -> None:
    gone = {"daemon": DaemonReading(ABSENT, "no daemon"), "workers": (), "answers": WorkersReading({})}
    assert unhealthy(pm2_unit=STOPPED, unfinished=True, **gone).code == "daemon_dead"


@pytest.mark.parametrize(("unit", "severity"), [(STOPPING, "info"), (STOPPED, "warning"), ({}, None)])
def test_workers_that_end_since_their_unit_is_being_stopped_are_left_alone(
    unit: dict[str, str], severity: str | None
) -> None:
    """PM2 itself answers until the last of them has ended."""
    gone = {"workers": (worker(0, "errored"), worker(1, "stopped")), "answers": WorkersReading({})}
    condition, inhibition = service(pm2_unit=unit, **gone)
    assert condition is not None
    assert (
        (inhibition.code, inhibition.severity) == ("stopped_by_operator", severity) if inhibition else severity is None
    )


def test_a_worker_near_its_limit_is_reloaded() -> None:
    found = unhealthy(workers=(worker(0, mb=890), worker(1, mb=950)))
    assert (found.code, found.workers, found.escalation) == ("memory_near_limit", (1,), (Remedy.RELOAD_WORKER,))
    assert "950 MB, 95 %" in found.message
    assert service(workers=(worker(0, mb=899), worker(1)))[0] is None
    assert service(workers=(worker(0, mb=950, age=10.0), worker(1)))[0] is None


def test_a_worker_near_the_limit_of_its_heap_is_reloaded_before_node_aborts() -> None:
    grown = worker(1, mb=500)
    grown = replace(grown, process=replace(grown.process, heap_used=475 * MB))
    limits = settings(heap_limit_mb=500)
    found = judge(readings(workers=(worker(0), grown)), limits, recovering=False).conditions[SERVICE]
    assert found is not None
    assert (found.code, found.workers, found.escalation) == ("memory_near_limit", (1,), (Remedy.RELOAD_WORKER,))
    assert found.message == "worker 1 (process 101) near the heap limit of 500 MB: 475 MB, 95 %"
    assert service(workers=(worker(0), grown))[0] is None


def test_of_workers_that_grow_alike_all_are_named_the_largest_first() -> None:
    found = unhealthy(workers=(worker(0, mb=920), worker(1, mb=950)))
    assert (found.workers, found.at_once) == ((1, 0), 1)


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"changing": True}, "deployment", "info"),
        ({**ALL_HANG, "database": DatabaseAnswer(down="connection refused")}, "database_down", "critical"),
        ({"room": {"/srv": Room(10 * MB)}}, "disk_short", "critical"),
        ({"memory_percent": 98.0}, "memory_short", "critical"),
        ({"starved": {100: 93.0, 101: 80.0}, "database": DatabaseAnswer("not asked in time")}, "cpu_short", "critical"),
    ],
)
def test_a_cause_elsewhere_inhibits_everything(changes: dict[str, Any], code: str, severity: str) -> None:
    condition, inhibition = service(**{**HANGS, **changes})
    assert condition is not None
    assert inhibition is not None
    assert (inhibition.code, inhibition.severity) == (code, severity)


def test_a_worker_that_hangs_among_those_that_wait_for_a_processor_is_helped_alone() -> None:
    found = unhealthy(**HANGS, starved={100: 93.0})
    assert (found.code, found.workers) == ("worker_hung", (1,))


def test_a_daemon_that_waits_for_a_processor_is_left_alone() -> None:
    changes: dict[str, Any] = {"daemon": DaemonReading(HUNG, "no answer", 50), "workers": ()}
    assert unhealthy(**changes).code == "daemon_hung"
    _condition, inhibition = service(**changes, starved={50: 70.0})
    assert inhibition is not None
    assert (inhibition.code, "70 % of the time" in inhibition.message) == ("cpu_short", True)


def test_a_worker_that_answers_wrongly_is_helped_on_an_overloaded_host_too() -> None:
    assert unhealthy(answers=WorkersReading({100: "database", 101: "database"}), starved={50: 70.0}).code == "unhealthy"


def test_a_host_that_is_short_by_the_services_own_leak_is_helped() -> None:
    assert unhealthy(memory_percent=98.0, workers=(worker(0, mb=950), worker(1))).code == "memory_near_limit"


def test_a_short_host_whose_service_is_healthy_is_no_matter_of_the_watchdog() -> None:
    assert service(memory_percent=99.0, room={"/srv": Room(0)}) == (None, None)


def test_on_a_host_that_is_too_busy_to_ask_the_database_nothing_is_done_for_a_while() -> None:
    """A restart would not help where it is the database, and take what is short."""
    inhibition = service(**ALL_HANG, database=NOT_KNOWN)[1]
    assert inhibition is not None
    assert (inhibition.code, inhibition.expires_after) == ("cpu_short", 300)
    assert inhibition.message == (
        "the processors are overloaded: the database, which may be the cause, can't be asked in time."
        " See what takes them."
    )
    assert service(**HANGS, database=NOT_KNOWN)[1] is None


def test_beside_a_healthy_worker_the_database_is_not_the_cause() -> None:
    condition, inhibition = service(**HANGS, database=DatabaseAnswer("no answer within 6 s"))
    assert condition is not None
    assert (condition.code, inhibition) == ("worker_hung", None)


def test_a_database_that_is_down_does_not_keep_a_dead_daemon_from_its_restart() -> None:
    changes: dict[str, Any] = {"daemon": DaemonReading(HUNG, "no answer"), "pm2_unit": FAILED, "workers": ()}
    assert unhealthy(database=DatabaseAnswer("connection refused"), **changes).code == "daemon_hung"


def test_workers_that_hang_are_helped_although_their_account_gets_no_connection() -> None:
    """They may be what holds them all; a server that is full refuses at once."""
    full = DatabaseAnswer(full="the server has no connection left")
    assert unhealthy(answers=WorkersReading({}, (SILENT, SILENT)), database=full).code == "worker_hung"
    assert unhealthy(**HANGS, database=full).code == "worker_hung"


def test_a_service_that_says_it_gets_no_connection_is_left_alone_for_some_minutes() -> None:
    full = DatabaseAnswer(full="the server has no connection left")
    condition, inhibition = service(answers=WorkersReading({100: "database", 101: "database"}), database=full)
    assert condition is not None
    assert inhibition is not None
    assert (condition.code, inhibition.code, inhibition.severity, inhibition.expires_after) == (
        "unhealthy",
        "database_full",
        "critical",
        300,
    )


def test_without_a_release_there_is_nothing_to_recover() -> None:
    condition, inhibition = service(activation=None, workers=(), answers=WorkersReading({}))
    assert condition is not None
    assert inhibition is not None
    assert inhibition.code == "not_deployed"


def existing(supervisor: str, answers: WorkersReading, unit: str = "", *, recovers: bool, **changes: Any) -> Condition:
    where = {"supervisor": supervisor, "url": "http://127.0.0.1:3000/health", "app": "shop"}
    own = settings(existing=where, recovers=recovers, pm2_unit=unit, memory_restart_mb=0)
    found = judge(readings(answers=answers, **changes), own, False).conditions[SERVICE]
    assert found is not None
    return found


@pytest.mark.parametrize("supervisor", ["pm2", "systemd", "process"])
def test_of_a_service_under_something_else_it_is_reported_and_nothing_is_done(supervisor: str) -> None:
    found = existing(supervisor, WorkersReading({}, (SILENT, SILENT)), "shop.service", recovers=False)
    assert (found.code, found.severity, found.escalation) == ("worker_hung", "critical", ())
    seen = judge(readings(proxy=GONE), settings(existing={"supervisor": supervisor, "url": "http://h"}), False)
    proxy = seen.conditions[PROXY]
    assert proxy is not None
    assert (proxy.code, proxy.escalation) == ("proxy_dead", ())


def test_where_it_was_allowed_its_own_supervisor_recovers_it() -> None:
    hung = WorkersReading({}, (SILENT, SILENT))
    assert existing("systemd", hung, "shop.service", recovers=True).escalation == (Remedy.RESTART_DAEMON,)
    escalation = existing("pm2", hung, recovers=True).escalation
    assert escalation == (Remedy.KILL_WORKER, Remedy.RESTART_APP)
    assert existing("pm2", hung, "pm2-app.service", recovers=True).escalation[-1] is Remedy.RESTART_DAEMON


def test_where_its_number_of_processes_is_unknown_none_is_missing() -> None:
    where = {"supervisor": "pm2", "url": "http://127.0.0.1:3000/health", "app": "shop"}
    alone = {"workers": (worker(0),), "answers": WorkersReading({100: ""})}
    for instances, code in ((0, None), (2, "worker_missing")):
        own = settings(existing=where, recovers=False, memory_restart_mb=0)
        found = judge(readings(planned=instances, **alone), own, False).conditions[SERVICE]
        assert (found.code if found else None) == code
