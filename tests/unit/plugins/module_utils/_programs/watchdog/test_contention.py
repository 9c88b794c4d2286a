# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a lock or a full server is told. That a real server's are, the scenario recovery shows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import Login, PgError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.sessions import (
    Connections,
    Limits,
    Session,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import contention
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.contention import (
    Contention,
    ContentionReader,
)

IDLE = "idle in transaction"
HOLDER = Session(9, "postgres", "shop", "psql", IDLE, (), 30, 30)
LEFT_OPEN = Session(8, "shop", "shop", "node", IDLE, (), 30, 30)


def waiting(pid: int, *blockers: int, seconds: float = 1, role: str = "shop") -> Session:
    return Session(pid, role, "shop", "node", "active", blockers, seconds, seconds)


class Server:
    """Has these sessions, or lets nobody in."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.refusal = ""
        self.logins: list[Login] = []
        self.open = 0

    @contextmanager
    def session(self, login: Login) -> Iterator[Server]:
        if self.refusal:
            raise PgError(self.refusal)
        self.logins.append(login)
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(contention, "session", found.session)
    monkeypatch.setattr(
        contention, "read_connections", lambda _client: Connections(Limits(10, 3, 0), {}, tuple(found.sessions))
    )
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    environment = tmp_path / "environment"
    environment.write_text("DATABASE_URL=postgresql://shop:secret@db.test/shop\n")
    content: dict[str, Any] = {
        "thresholds": {"lock_wait_seconds": {"warning": 5, "critical": 60}},
        "database": {
            "file": str(environment),
            "diagnosis": {"user": "shop_diagnosis", "dbname": "shop"},
            "service": {"name": "shop", "instances": 2, "pool_max": 20},
        },
    }
    path = tmp_path / "diagnose.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def ask(config: Path) -> Callable[..., Contention]:
    """What a probe at that time asks, as the next one gets it."""
    reader = ContentionReader(str(config))

    def asked(now: float, runs: bool = True) -> Contention:
        reader.read(now, runs)
        finished()
        answer = reader.read(now, runs)
        finished()
        return answer

    return asked


def finished() -> None:
    """Nobody asks any more."""
    while any(thread.name == "contention" for thread in threading.enumerate()):
        time.sleep(0.001)


def test_a_lock_is_told_once_it_has_held_up_the_service_for_too_long_though_each_wait_is_short(
    server: Server, ask: Callable[..., Contention]
) -> None:
    server.sessions = [HOLDER, waiting(1, 9), waiting(2, 1)]
    assert ask(100) == Contention()
    server.sessions = [HOLDER, waiting(3, 9)]
    found = ask(106)
    assert (found.severity, found.elsewhere, found.full) == ("warning", True, "")
    who = "process 9 of postgres (psql), idle in transaction for 30 s,"
    assert found.locked.startswith(f"{who} holds a lock that 1 session of shop waits for (6 s)")
    assert [(problem.key, problem.severity) for problem in found.problems()] == [("service.database_locked", "warning")]
    server.sessions = []
    assert ask(112) == Contention()


def test_a_lock_that_nobody_of_the_service_waits_for_is_none_of_its(
    server: Server, ask: Callable[..., Contention]
) -> None:
    server.sessions = [HOLDER, waiting(1, 9, seconds=70, role="cron")]
    assert ask(100) == Contention()


def test_a_lock_that_a_session_like_the_waiting_ones_holds_may_be_a_worker_s(
    server: Server, ask: Callable[..., Contention]
) -> None:
    server.sessions = [LEFT_OPEN, waiting(1, 8, seconds=70)]
    found = ask(100)
    assert (found.severity, found.elsewhere) == ("critical", False)


def test_a_full_server_is_told_at_the_second_look_by_the_session_that_is_open(
    server: Server, ask: Callable[..., Contention]
) -> None:
    ask(100)
    server.refusal = "FATAL:  sorry, too many clients already"
    server.sessions = [Session(pid, "cron", "jobs", "", "", (), pid) for pid in range(1, 7)]
    assert ask(105) == Contention()
    assert "6 by cron in jobs; of the first, process 6 of cron is the oldest" in ask(110).full
    assert (server.open, [login.application for login in server.logins]) == (1, ["watchdog"])


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved", True),
        ('FATAL:  too many connections for role "shop_diagnosis"', False),
        ("Connection refused", False),
    ],
)
def test_a_server_that_lets_nobody_in_is_full_too(
    server: Server, ask: Callable[..., Contention], refusal: str, told: bool
) -> None:
    server.refusal = refusal
    ask(100)
    assert bool(ask(105).full) == told


def test_a_service_without_processes_has_no_session_open(server: Server, ask: Callable[..., Contention]) -> None:
    ask(100)
    assert server.open == 1
    ask(105, runs=False)
    assert server.open == 0


def test_without_a_diagnosis_role_the_service_s_own_asks(
    server: Server, config: Path, ask: Callable[..., Contention]
) -> None:
    content = json.loads(config.read_text())
    content["database"]["diagnosis"] = {}
    config.write_text(json.dumps(content))
    ask(100)
    assert server.logins[0].parameters["user"] == "shop"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"database": {"diagnosis": 5}}'])
def test_settings_that_say_nothing_are_no_problem_of_the_probe(
    config: Path, ask: Callable[..., Contention], content: str
) -> None:
    config.write_text(content)
    assert ask(100) == Contention()


def test_what_a_server_said_that_answers_nothing_any_more_is_forgotten(
    server: Server, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sessions = [HOLDER, waiting(1, 9, seconds=10)]
    reader, stopped = ContentionReader(str(config)), threading.Event()
    reader.read(100, runs=True)
    finished()
    monkeypatch.setattr(contention, "read_connections", lambda _client: stopped.wait() and pytest.fail())
    try:
        assert reader.read(101, runs=True).locked
        assert reader.read(103, runs=True).locked
        assert reader.read(117, runs=True) == Contention()
    finally:
        stopped.set()
