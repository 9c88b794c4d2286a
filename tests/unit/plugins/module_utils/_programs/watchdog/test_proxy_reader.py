# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When root is asked about Nginx, and how long its word is believed."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import HealthReading
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import ANSWERED, REFUSED, WorkerAnswer
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Answer
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import proxy_reader
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.proxy import Verdict
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.proxy_reader import ProxyReader
from watch_samples import settings


class Nginx:
    """As it shows itself, and how often root was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kind, self.gone, self.state, self.now, self.tests = ANSWERED, False, "taken", 1000.0, 0
        monkeypatch.setattr(proxy_reader, "ask", lambda _request: self.answer())
        monkeypatch.setattr(proxy_reader, "is_gone", lambda: self.gone)
        monkeypatch.setattr(proxy_reader, "examine_proxy", lambda _path: self.test())
        monkeypatch.setattr(proxy_reader.time, "monotonic", lambda: self.now)
        self.reader = ProxyReader(settings(url="http://127.0.0.1/health"))

    def answer(self) -> WorkerAnswer:
        there = Answer(200, {}, b"{}", 5.0, "http://127.0.0.1/health") if self.kind == ANSWERED else None
        return WorkerAnswer(HealthReading(there, "connection refused"), None, 5.0, self.kind)

    def test(self) -> Verdict:
        self.tests += 1
        return Verdict(self.state, f"test {self.tests}")

    def probe(self, after: float = 2.0) -> str:
        """One of the watchdog's: what root is believed to see; nothing where it does not matter."""
        self.now += after
        self.reader.begin()
        self.reader.answer()
        found = self.reader.test() if self.reader.is_suspect else None
        return found.message if found else ""


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> Nginx:
    return Nginx(monkeypatch)


def test_root_is_not_asked_while_nginx_runs_and_answers(nginx: Nginx) -> None:
    assert [nginx.probe(), nginx.probe()] == ["", ""]
    assert nginx.tests == 0


def test_root_is_asked_about_a_silent_one_every_few_seconds(nginx: Nginx) -> None:
    nginx.kind = REFUSED
    assert [nginx.probe() for _number in range(4)] == ["test 1", "test 1", "test 2", "test 2"]


def test_root_is_asked_who_answers_without_nginx(nginx: Nginx) -> None:
    nginx.kind, nginx.state = REFUSED, "dead"
    assert nginx.probe() == "test 1"
    nginx.kind, nginx.gone, nginx.state = ANSWERED, True, "taken"
    assert [nginx.probe(after) for after in (4, 2, 2)] == ["test 2", "test 2", "test 3"]
    nginx.gone = False
    assert nginx.probe() == ""


def test_a_healthy_nginx_whose_main_process_is_noted_elsewhere_costs_one_test_a_minute(nginx: Nginx) -> None:
    nginx.gone, nginx.state = True, "healthy"
    assert [nginx.probe(after) for after in (2, 50, 20)] == ["test 1", "test 1", "test 2"]
    nginx.kind, nginx.state = REFUSED, "dead"
    assert nginx.probe(5) == "test 3"


def test_what_root_saw_before_nginx_was_well_again_is_not_believed(nginx: Nginx) -> None:
    """Started while it was asked, it did not answer, and a moment later root found it healthy."""
    nginx.kind, nginx.state = REFUSED, "healthy"
    assert nginx.probe() == "test 1"
    nginx.kind = ANSWERED
    assert nginx.probe() == ""
    nginx.gone = True
    assert nginx.probe() == "test 2"


def test_where_there_is_no_proxy_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_reader, "is_gone", lambda: True)
    reader = ProxyReader(settings())
    reader.begin()
    assert (reader.answer(), reader.is_suspect) == (None, False)


def test_around_an_existing_service_another_program_may_be_the_proxy(nginx: Nginx) -> None:
    where = {"supervisor": "pm2", "url": "http://h", "pm2_home": "/home/app/.pm2"}
    nginx.reader = ProxyReader(settings(url="http://127.0.0.1/health", existing=where))
    nginx.gone = True
    assert (nginx.probe(), nginx.tests) == ("", 0)
    nginx.kind = REFUSED
    assert nginx.probe() == "test 1"
