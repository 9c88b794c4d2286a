# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page: its numbers are those of the history, and whatever a service says is text in it."""

from __future__ import annotations

import dataclasses
import re
import string
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
import simulated_service
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import LANGUAGES
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import DAY, MINUTE, Event, Point
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.facts import Facts
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.page import Page
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.texts import TEXTS
from hypothesis import given
from hypothesis import strategies as st
from simulated_service import NOW, finding

EVIL = '<script>alert(1)</script><img src=x onerror="x">{{ 7*7 }}\'"&\0'
EMPTY = Facts("shop", "web1", NOW, {}, None, {}, [], {"day": {}, "weeks": {}})


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Of two days."""
    path = tmp_path_factory.mktemp("history") / "history.db"
    return simulated_service.facts(simulated_service.filled(path, NOW - 2 * DAY))


class Elements(HTMLParser):
    """All that a browser would make an element of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def drawings(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<body>")[2]).split())


@pytest.mark.parametrize("key", TEXTS)
def test_each_language_has_every_text_with_the_same_places(key: str) -> None:
    words = TEXTS[key]
    assert len(words) == len(LANGUAGES)
    assert all(words)
    places = [{name for _text, name, _spec, _kind in string.Formatter().parse(word) if name} for word in words]
    assert places[0] == places[1]


def test_the_numbers_are_those_of_the_history(facts: Facts) -> None:
    shown = text_of(Page(facts, "en").render())
    requests = sum(
        point.total for name in ("1xx", "2xx", "3xx", "4xx", "5xx") for point in facts.day[f"requests.{name}"]
    )
    assert f"Requests {requests:,.0f}" in shown
    assert "promised: 99.90 %" in shown
    assert "Release 20251125-0402-e5d9a41 since 2025-11-25 04:07" in shown
    assert "deployment Deployment of 20251120-1155-0d1e5ab failed" in shown
    assert "Alerts 3" in shown
    assert "watchdog: healthy since 2025-11-25 12:32" in shown
    assert "limit: 384" in shown
    assert "a worker is near its memory limit (for 1 min 35 s) worker 2 has 371 of 384 MB" in shown
    assert "the diagnosis: disk./ (for 1 h 26 min, still there)" in shown
    assert "slow statement 2025-11-24 19:55 612.4 ms on average" in shown
    assert "N+1 suspect now N+1 suspect: 4120 calls" in shown


def test_it_is_in_chinese_as_well(facts: Facts) -> None:
    page = Page(facts, "zh").render()
    assert Elements(page).named("html") == [{"lang": "zh-CN"}]
    assert "工作进程接近内存上限 (持续 1 分钟 35 秒)" in text_of(page)
    assert "磁盘./" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_needs_nothing_from_elsewhere_and_runs_nothing(facts: Facts, language: str) -> None:
    found = Elements(Page(facts, language).render())
    policies = [meta["content"] for meta in found.named("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not {"script", "img", "iframe", "object", "embed", "form"} & {tag for tag, _attributes in found.found}
    links = [
        value for _tag, known in found.found for name, value in known.items() if name in ("href", "src", "xlink:href")
    ]
    assert links == ["data:,"]
    assert not [known for _tag, known in found.found if any(name.startswith("on") or name == "style" for name in known)]


def test_every_plot_has_lines_and_a_name(facts: Facts) -> None:
    found = drawings(Page(facts, "en").render())
    assert len(found) == 2 + 2 * 9
    for drawing in found:
        assert drawing.get("role") == "img"
        assert (drawing.get("aria-label") or "").endswith(("Last 24 hours", "Last four weeks"))
        assert [
            path
            for path in drawing.iter()
            if "line" in path.get("class", "").split() and "reactive" in path.get("class", "")
        ]
        labels = [text.text for text in drawing.iter() if text.tag.endswith("text")]
        assert len(labels) == len(set(labels)) or "00:00" in labels


def test_what_a_service_says_is_text(facts: Facts) -> None:
    status = {
        "state": EVIL,
        "since": EVIL,
        "problems": [{"key": EVIL, "code": EVIL, "severity": "critical", "message": EVIL}],
    }
    findings = [finding(EVIL, EVIL, EVIL, 1, EVIL), finding("statements.slow", "warning", EVIL)]
    events = [
        Event(NOW - 60, kind, f"{EVIL}.{kind}", EVIL, "critical", EVIL)
        for kind in ("problem", "action", "deployment", "restart")
    ]
    points = {f"disk.{EVIL}": [Point(int(NOW) - 600, 50.0, 10.0, 5)], **facts.day}
    worst = {"indexes." + EVIL: {"status": "critical", "message": EVIL, "time": EVIL}}
    evil = dataclasses.replace(
        facts, service=EVIL, host=EVIL, status=status, findings=findings, worst=worst, events=events,
        points={"day": points, "weeks": facts.weeks}, missing=EVIL,
    )  # fmt: skip
    for language in LANGUAGES:
        page = Page(evil, language).render()
        found = Elements(page)
        assert not {"script", "img"} & {tag for tag, _attributes in found.found}
        assert not [known for _tag, known in found.found if "onerror" in known]
        assert "{{ 7*7 }}" in page
        assert ">49" not in page


def test_of_an_empty_history_there_is_a_page_that_says_so() -> None:
    shown = text_of(Page(dataclasses.replace(EMPTY, missing="no such file"), "en").render())
    assert "Not known" in shown
    assert (
        "nothing is recorded See `systemctl status shop-metrics`; metrics_history must be true. no such file" in shown
    )
    assert "the watchdog is silent" in shown
    assert "Nothing in four weeks." in shown
    assert "How it went" not in shown


def test_a_healthy_service_has_nothing_that_needs_attention() -> None:
    healthy = dataclasses.replace(
        EMPTY, status={"state": "healthy", "since": NOW}, findings=[finding("disk./", "ok", "")]
    )
    shown = text_of(Page(healthy, "en").render())
    assert "shop on web1 Healthy" in shown
    assert "What needs attention Nothing." in shown


@pytest.mark.parametrize(
    ("errors", "slow", "verdict", "named"),
    [
        (0, 0, "Healthy", "Nothing."),
        (1, 0, "Healthy now, an objective is missed", "warning Answered without an error 99.00 % in the last day"),
        (0, 2, "Healthy now, an objective is missed", "warning Answered within 0.5 s 98.00 % in the last day"),
    ],
)
def test_a_missed_objective_needs_attention(errors: int, slow: int, verdict: str, named: str) -> None:
    counted = {
        "requests.2xx": 100 - errors, "requests.5xx": errors, "requests.slow": slow, "seconds.0.5": 100,
        "objective.availability": 99.9, "objective.latency": 99, "objective.latency_threshold": 0.5,
    }  # fmt: skip
    day = {name: [Point(int(NOW) - 600, value, value, 1)] for name, value in counted.items()}
    healthy = {"status": {"state": "healthy", "since": NOW}, "findings": [finding("disk./", "ok", "")]}
    missed = dataclasses.replace(EMPTY, **healthy, points={"day": day, "weeks": {}})
    shown = text_of(Page(missed, "en").render())
    assert f"shop on web1 {verdict} Report of" in shown
    assert f"What needs attention {named}" in shown


@pytest.mark.parametrize(
    ("state", "verdict"), [("recovering", "Critical"), ("paused", "Warning"), ("suspect", "Warning")]
)
def test_the_verdict_is_the_worst_of_what_is_known(state: str, verdict: str) -> None:
    page = Page(dataclasses.replace(EMPTY, status={"state": state}, findings=[]), "en").render()
    assert f"shop on web1 {verdict}" in text_of(page)


def test_what_the_watchdog_has_only_just_seen_needs_attention_too() -> None:
    condition = {"code": "no_answer", "message": "No worker answers."}
    status = {"state": "suspect", "targets": {"service": {"condition": condition}, "proxy": {"condition": None}}}
    page = Page(dataclasses.replace(EMPTY, status=status, findings=[]), "en").render()
    assert "warning the service does not answer No worker answers." in text_of(page)


def test_what_the_diagnosis_has_found_is_said_once() -> None:
    problem = {"key": "diagnose.disk./", "code": "finding", "severity": "warning", "message": "full"}
    known = dataclasses.replace(EMPTY, status={"state": "healthy", "problems": [problem]})
    assert text_of(Page(known, "en").render()).count("full") == 1
    # the alert about it is "still there"
    over = dataclasses.replace(known, findings=[finding("disk./", "ok", "room")])
    assert "shop on web1 Warning" in text_of(Page(over, "en").render())
    assert text_of(Page(over, "en").render()).count("full") == 1
    known = dataclasses.replace(known, findings=[finding("disk./", "warning", "full")])
    assert text_of(Page(known, "en").render().partition("<details>")[0]).count("full") == 1


def test_a_single_reading_is_seen() -> None:
    point = [Point(int(NOW) // 300 * 300, 300.0, 300.0, 1)]
    page = Page(dataclasses.replace(EMPTY, points={"day": {"worker.0.loop_p95": point}, "weeks": {}}), "en").render()
    lines = [path.get("d") for path in drawings(page)[0].iter() if path.get("class") == "line reactive nofill"]
    assert len(lines) == 1


def test_however_much_has_happened_the_page_has_an_end() -> None:
    events = [
        Event(NOW - n * MINUTE, kind, f"service.{n}", "x" * 500, "critical", "y" * 500)
        for n in range(500) for kind in ("problem", "action")
    ]  # fmt: skip
    findings = [finding(f"c{n}", "critical", "z" * 5000) for n in range(5000)]
    page = Page(dataclasses.replace(EMPTY, events=events[::-1], findings=findings), "en").render()
    assert len(page) < 1_500_000


VALUES = st.sampled_from([0.0, 5e-324, 1e-9, 1.0, 1e9, 2.0**53])
SERIES = st.sampled_from(
    ["worker.0.rss", "worker.x.rss", "worker.1.loop_p95", "limit.memory", "disk./", "requests.5xx", "healthy"]
)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none(), max_size=2)


@given(
    st.dictionaries(SERIES, st.lists(VALUES, min_size=1, max_size=4)),
    st.dictionaries(
        st.sampled_from(["state", "since", "problems"]),
        ODD | st.lists(st.dictionaries(st.sampled_from(["key", "severity"]), ODD)),
    ),
    st.lists(st.dictionaries(st.sampled_from(["check", "status", "value", "unit", "message"]), ODD)) | st.none(),
)
def test_whatever_is_known_there_is_a_page(
    series: dict[str, list[float]], status: dict[str, Any], findings: Any
) -> None:
    points = {
        name: [Point(int(NOW) // 300 * 300 - 300 * n, value, value, 5) for n, value in enumerate(values)][::-1]
        for name, values in series.items() if not name.startswith("worker.x")
    }  # fmt: skip
    page = Page(
        dataclasses.replace(EMPTY, status=status, findings=findings, points={"day": points, "weeks": points}), "en"
    ).render()
    assert all(len(ElementTree.tostring(drawing)) < 50_000 for drawing in drawings(page))
