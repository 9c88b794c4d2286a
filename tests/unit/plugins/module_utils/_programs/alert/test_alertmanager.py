# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By an answer of Debian 13's Alertmanager to alerts of `amtool alert add`; NodejsServiceWorkerDown is silenced."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.alertmanager import (
    Alerts,
    Monitor,
    changes,
    read,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import (
    HEARTBEAT,
    Event,
    Ledger,
    Notice,
    notify,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.texts import Writer

FIXTURE = Path(__file__).parents[4] / "fixtures" / "alertmanager.json"
ANSWER: list[dict[str, Any]] = json.loads(FIXTURE.read_text(encoding="utf-8"))
MONITOR = Monitor("http://127.0.0.1:9093", ("app1", "app2", "db1", "monitor"))
# A minute after the alerts.
NOW = datetime.datetime(2026, 11, 29, 11, 8, tzinfo=datetime.UTC).timestamp()
FIRING = {
    "db1/NodejsServiceHostDown": "host_down",
    "/NodejsServiceErrorBudgetBurnsFast": "error_budget",
    "app1/CheckoutEmpty": "No order since noon",
    "app2/service": "worker_hung",
    "app1/diagnose.disk./": "finding",
}
MUTED = {"db1/NodejsServiceDatabaseDown", "app2/NodejsServiceWorkerDown/3"}


def alerts(content: list[Any] | None = None, now: float = NOW) -> Alerts:
    return read(ANSWER if content is None else content, MONITOR, "shop", now)


def without(*names: str) -> list[dict[str, Any]]:
    return [entry for entry in ANSWER if entry["labels"]["alertname"] not in names]


def like(name: str, **labels: str) -> dict[str, Any]:
    """An alert of that name as the answer has it, with other labels."""
    entry = copy.deepcopy(next(entry for entry in ANSWER if entry["labels"]["alertname"] == name))
    entry["labels"].update(labels)
    return entry


class Fleet:
    """What is reported of one answer after the other."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = NOW

    def hears(self, content: list[Any], *, after: float = 15.0, believed: bool = True) -> list[Notice]:
        self.now += after
        events = changes(self.ledger, alerts(content, self.now), believed, self.now)
        return notify(self.ledger, events, self.now, 14_400, False)

    def reports(self, content: list[Any], *, after: float = 15.0, believed: bool = True) -> list[str]:
        return [f"{notice.kind} {notice.key}" for notice in self.hears(content, after=after, believed=believed)]


def test_an_answer_has_the_alerts_of_the_service_and_of_its_hosts() -> None:
    found = alerts()
    assert {key: event.code for key, event in found.firing.items()} == FIRING
    assert found.muted == MUTED
    assert found.sign_ns / 1e9 == pytest.approx(NOW - 61, abs=1)
    assert {event.severity for event in found.firing.values()} == {"critical", "warning"}


def test_another_service_s_alerts_are_its_own() -> None:
    found = read([*ANSWER, like("NodejsServiceProblem", service="kiosk")], MONITOR, "kiosk", NOW)
    assert found.firing.keys() == {"db1/NodejsServiceHostDown", "app2/service"}


def test_what_inhibits_an_alert_has_its_time_to_fire() -> None:
    assert alerts(now=NOW - 50).firing.keys() == set()
    assert alerts(now=NOW - 50).muted == FIRING.keys() | MUTED
    # a clock that was set back holds up nothing
    assert alerts(now=NOW - 7200).firing.keys() == FIRING.keys()


def test_a_warning_that_becomes_critical_is_one_problem() -> None:
    fleet = Fleet()
    warning, critical = (
        like(f"NodejsService{name}", service="shop", instance="app2", key="diagnose.memory")
        for name in ("Warning", "Problem")
    )
    assert fleet.reports([warning]) == ["opened app2/diagnose.memory"]
    assert fleet.reports([], after=15) == []
    # for so long the rule of what is critical waits
    assert fleet.reports([], after=60) == []
    assert fleet.reports([critical]) == ["worse app2/diagnose.memory"]
    assert fleet.reports([warning, critical]) == []
    assert fleet.reports([warning]) == []
    assert fleet.ledger.problems["app2/diagnose.memory"].severity == "warning"


def test_what_is_over_is_reported_with_the_time_at_which_it_was_gone() -> None:
    fleet = Fleet()
    assert len(fleet.hears(ANSWER)) == 5
    rest = without("NodejsServiceProblem")
    for _time in range(6):
        assert fleet.hears(rest) == []
    (notice,) = fleet.hears(rest)
    assert (notice.kind, notice.key, notice.time) == ("resolved", "app2/service", fleet.now - 90)
    assert fleet.hears(rest) == []


def test_nothing_is_over_because_nobody_knows() -> None:
    fleet = Fleet()
    fleet.hears(ANSWER)
    for content in ([], without("NodejsServiceProblem"), []):
        assert fleet.hears(content, after=600, believed=False) == []
    # after a restart of Alertmanager what always fires may come first
    assert fleet.hears([like("NodejsServiceMonitoring")]) == []
    assert fleet.hears([like("NodejsServiceMonitoring")], after=75) == []
    assert fleet.hears(ANSWER) == []


def test_a_pause_of_alerting_itself_makes_no_end_of_a_problem() -> None:
    fleet = Fleet()
    fleet.hears(ANSWER)
    assert fleet.hears(without("NodejsServiceHostDown"), after=7200) == []
    assert fleet.hears(without("NodejsServiceHostDown"), after=-3600) == []
    assert fleet.hears(ANSWER) == []


def test_what_is_silenced_once_it_is_reported_is_neither_over_nor_said_again() -> None:
    fleet = Fleet()
    fleet.hears(ANSWER)
    silenced = like("NodejsServiceProblem")
    silenced["status"]["state"] = "suppressed"
    content = [*without("NodejsServiceProblem", "NodejsServiceHostDown", "NodejsServiceErrorBudgetBurnsFast"), silenced]
    for _time in range(3):
        assert "app2/service" not in [notice.key for notice in fleet.hears(content, after=7200)]
    assert fleet.reports(ANSWER, after=60) == [
        "opened db1/NodejsServiceHostDown",
        "opened /NodejsServiceErrorBudgetBurnsFast",
    ]
    assert "reminder app2/service" in fleet.reports(ANSWER, after=14_400)


def test_a_silence_of_the_monitoring_is_not_in_the_answer_and_stays() -> None:
    fleet = Fleet()
    notify(fleet.ledger, [Event("problem", NOW, HEARTBEAT, "monitoring_silent", "critical")], NOW, 0, False)
    assert [fleet.hears([], after=100) for _time in range(3)] == [[], [], []]
    assert HEARTBEAT in fleet.ledger.problems


def test_flapping_is_reported_once() -> None:
    fleet = Fleet()
    kinds = []
    for _time in range(6):
        for content in ([like("NodejsServiceHostDown")], [], []):
            kinds += [notice.kind for notice in fleet.hears(content, after=100)]
    assert kinds == ["opened", "resolved"] * 3 + ["flapping"]


def test_a_thousand_alerts_of_a_service_leave_room_for_a_host_that_is_down() -> None:
    fleet = Fleet()
    flood = [like("NodejsServiceProblem", key=f"{number:04d}") for number in range(1000)]
    content = [*flood, like("NodejsServiceHostDown")]
    keys = [notice.key for notice in fleet.hears(content)]
    assert (len(keys), keys[0]) == (500, "db1/NodejsServiceHostDown")
    # what has no room is not over
    assert fleet.hears([*(like("NodejsServiceHostDown", instance=host) for host in MONITOR.hosts), *flood]) == []
    assert (
        fleet.hears([*(like("NodejsServiceHostDown", instance=host) for host in MONITOR.hosts), *flood], after=100)
        == []
    )


def test_hostile_labels_are_texts_and_short() -> None:
    entry = like("NodejsServiceProblem", key="<b>@all `x` [a](http://b)\n" * 1000)
    entry["annotations"] = dict.fromkeys(("summary", "description", "code", "runbook_url"), entry["labels"]["key"])
    (event,) = alerts([entry]).firing.values()
    assert event.key == f"app2/NodejsServiceProblem/{entry['fingerprint']}"
    (notice,) = notify(Ledger(), [event], NOW, 0, False)
    text = Writer("shop", "monitor", "en", of_fleet=True).write(notice)
    assert len(text.title) + len(text.body) < 2000
    assert not set("<>`\n") & set(text.title)
    assert "@all" not in text.title + text.body


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"labels": []},
        {"labels": {"alertname": ["x"], "severity": ["critical"]}},
        {"labels": {"alertname": "x", "severity": "critical", "instance": {}}},
        {"labels": {"alertname": "NodejsServiceMonitoring"}, "updatedAt": "9" * 5000},
    ],
)
def test_garbled_alerts_are_left_out(entry: object) -> None:
    assert alerts([entry]) == Alerts()


@pytest.mark.parametrize(
    ("key", "language", "title", "body"),
    [
        (
            "app2/service",
            "en",
            "shop on app2: CRITICAL: a worker hangs",
            "It is killed, and PM2 restarts it.\nWhat to do: {runbooks}#nodejsserviceproblem\n",
        ),
        (
            "db1/NodejsServiceHostDown",
            "en",
            "shop on db1: CRITICAL: the host is down",
            (
                "db1 is down\nThe monitor gets no answer from it: see whether it runs, and whether its network does.\n"
                "What to do: {runbooks}#nodejsservicehostdown\n"
            ),
        ),
        (
            "/NodejsServiceErrorBudgetBurnsFast",
            "en",
            "shop: CRITICAL: clients get too many errors",
            (
                "Errors of shop come 21.3 times as fast as the objective allows\n"
                "The month's budget of errors is used up too fast: see which requests fail.\n"
                "What to do: {runbooks}#nodejsserviceerrorbudgetburnsfast\n"
            ),
        ),
        ("app1/diagnose.disk./", "en", "shop on app1: WARNING: the diagnosis: disk./", ""),
        (
            "app1/CheckoutEmpty",
            "en",
            "shop on app1: WARNING: No order since noon",
            "See the shop's own dashboard.\n",
        ),
        ("app1/diagnose.disk./", "zh", "shop（app1）警告：诊断：磁盘./", ""),
        (
            "/NodejsServiceErrorBudgetBurnsFast",
            "zh",
            "shop 严重：客户端收到的错误过多",
            (
                "详情：Errors of shop come 21.3 times as fast as the objective allows\n"
                "本月的错误预算消耗过快，请查看哪些请求失败。\n"
                "处理方法：{runbooks}#nodejsserviceerrorbudgetburnsfast\n"
            ),
        ),
    ],
)
def test_what_a_person_gets(key: str, language: str, title: str, body: str) -> None:
    (notice,) = notify(Ledger(), [alerts().firing[key]], NOW, 0, False)
    text = Writer("shop", "monitor", language, of_fleet=True).write(notice)
    assert text.title == title
    runbooks = "https://github.com/workbot/stability/blob/main/docs/runbooks.md"
    assert text.body.rpartition("\n")[0] + ("\n" if body else "") == body.replace("{runbooks}", runbooks)
