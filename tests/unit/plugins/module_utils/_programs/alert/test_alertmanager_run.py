# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerting's runs on the monitor's host; a server gives the answer of test_alertmanager.py in Alertmanager's place."""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert import run
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.alertmanager import Monitor, ask
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.config import (
    Config,
    Secrets,
    load_config,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import Ledger
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.run import send
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.store import State, Store

ANSWER = json.loads((Path(__file__).parents[4] / "fixtures" / "alertmanager.json").read_text(encoding="utf-8"))
HOSTS = ("app1", "app2", "db1", "monitor")


class Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    answer = b""
    asked = ""

    def do_GET(self) -> None:
        Handler.asked = self.path
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Monitor]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield Monitor(f"http://127.0.0.1:{found.server_port}", HOSTS)
        found.shutdown()


def test_alertmanager_is_asked_for_the_service_and_for_what_has_none(server: Monitor) -> None:
    answered()
    assert len(ask(server, "shop", time.time()).firing) == 5
    assert Handler.asked == "/api/v2/alerts?filter=service%3D~%22shop%7C%22"


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (503, b"[]", "answers with status 503"),
        (200, b"", "does not answer as Alertmanager does"),
        (200, b'{"status": "success"}', "does not answer as Alertmanager does"),
        (200, b"[" * 100_000, "does not answer as Alertmanager does"),
        (200, b" " * (8 * 1024 * 1024 + 1), "the body has more than 8388608 bytes"),
    ],
)
def test_another_answer_is_none(server: Monitor, status: int, answer: bytes, reason: str) -> None:
    Handler.status, Handler.answer = status, answer
    found = ask(server, "shop", time.time())
    assert reason in found.reason
    assert (found.sign_ns, found.firing) == (0, {})


def test_where_nobody_listens_there_is_no_answer() -> None:
    assert "connection refused" in ask(Monitor("http://127.0.0.1:1", ()), "shop", time.time()).reason


@pytest.fixture
def config(server: Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(run, "_MONITORED", 0.0)
    for name in ("state/inbox", "run"):
        (tmp_path / name).mkdir(parents=True)
    settings = {
        "service": "shop",
        "language": "en",
        "repeat_interval_minutes": 0,
        "messages_per_hour": 100,
        "actions": False,
        "heartbeat_timeout": 90,
        "events": str(tmp_path / "events"),
        "status": str(tmp_path / "status.json"),
        "secrets": "",
        "state_directory": str(tmp_path / "state"),
        "runtime_directory": str(tmp_path / "run"),
        "unit": "shop-alert.service",
        "watched_units": ["prometheus.service", "prometheus-alertmanager.service"],
        "monitor": {"url": server.url, "hosts": list(server.hosts)},
    }
    (tmp_path / "alert.json").write_text(json.dumps(settings), encoding="utf-8")
    return load_config(tmp_path / "alert.json")


def stored(config: Config) -> State:
    return Store([config.state_directory]).load()


def reports(config: Config) -> list[str]:
    """Titles of what a run reports."""
    known = len(stored(config).outbox.messages)
    assert send(config, Secrets(["nosuch://one"], "")) == 0
    return [message.title for message in stored(config).outbox.messages[known:]]


def answered(sign: float = 0, alerts: float = 60) -> None:
    """Alertmanager has the alerts since so many seconds, and had so long ago a sign of Prometheus."""
    began, sent = (
        datetime.datetime.fromtimestamp(time.time() - age, datetime.UTC).isoformat() for age in (alerts, sign)
    )
    content = [{**entry, "startsAt": began, "updatedAt": sent} for entry in ANSWER]
    Handler.status, Handler.answer = 200, json.dumps(content).encode()


def test_a_change_of_the_source_ends_no_problem(config: Config) -> None:
    answered()
    assert len(reports(config)) == 5
    assert reports(config) == []
    event = {"kind": "problem", "key": "service", "code": "no_answer", "severity": "critical", "time": time.time()}
    (config.inbox / "1.json").write_text(json.dumps(event), encoding="utf-8")
    assert reports(config) == []  # of an engine of before, on a host that is both
    assert list(config.inbox.iterdir()) == []
    before = dataclasses.replace(config, monitor=None)
    (config.inbox / "2.json").write_text(json.dumps({**event, "time": time.time() - 3600}), encoding="utf-8")
    assert (reports(before), stored(config).ledger) == ([], Ledger())
    assert len(reports(config)) == 5


def test_no_fresh_sign_of_prometheus_is_silence(config: Config) -> None:
    answered()
    reports(config)
    answered(sign=60)
    assert reports(config) == []
    state = stored(config)
    state.sight = dataclasses.replace(state.sight, mtime_ns=0, since=0.0)
    Store([config.state_directory]).save(state)
    Handler.status = 500
    assert reports(config) == [f"shop on {config.host}: CRITICAL: the monitoring is silent"]
    assert "answers with status 500" in stored(config).outbox.messages[-1].body
    assert reports(config) == []
    answered()
    assert reports(config) == [f"shop on {config.host}: RESOLVED: the monitoring is silent"]


def test_a_test_message_needs_no_alertmanager(config: Config) -> None:
    Handler.status = 500
    test = {"kind": "test", "code": "test", "time": time.time(), "severity": "info"}
    (config.inbox / "1-test.json").write_text(json.dumps(test), encoding="utf-8")
    assert reports(config) == [f"shop on {config.host}: TEST: test message"]


def test_a_run_has_rounds_until_a_test_message_comes(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_MONITORED", 600.0)
    monkeypatch.setattr(run, "_ROUND", 0.2)
    monkeypatch.setattr(run, "_TICK", 0.05)
    answered(alerts=5)

    def happen() -> None:
        time.sleep(0.5)
        answered()
        while len(stored(config).outbox.messages) < len(ANSWER) - 4:
            time.sleep(0.05)
        test = {"kind": "test", "code": "test", "time": time.time(), "severity": "info"}
        (config.inbox / "1-test.json").write_text(json.dumps(test), encoding="utf-8")

    threading.Thread(target=happen, daemon=True).start()
    assert [title.rpartition(": ")[2] for title in reports(config)][-1] == "test message"
    assert len(stored(config).outbox.messages) == len(ANSWER) - 3
