# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import proc
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert import run
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.config import Config, Secrets
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.outbox import (
    Message,
    Outbox,
    know_channels,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.run import deliver, send
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.store import State, Store


@dataclasses.dataclass
class Way:
    """A channel that keeps what it gets."""

    name: str
    works: bool = True
    got: list[str] = dataclasses.field(default_factory=list)

    def send(self, message: Message) -> str:
        if self.works:
            self.got.append(message.title)
        return "" if self.works else "no answer"


@pytest.fixture
def directories(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "state", tmp_path / "memory"]
    for path in found:
        path.mkdir()
    return found


@pytest.fixture
def config(tmp_path: Path, directories: list[Path]) -> Config:
    (directories[0] / "inbox").mkdir()
    events = tmp_path / "events"
    events.mkdir()
    return Config(
        service="shop",
        language="en",
        repeat_interval_minutes=240,
        messages_per_hour=20,
        actions=False,
        heartbeat_timeout=90,
        events=events,
        status=tmp_path / "status.json",
        secrets=tmp_path / "secrets",
        state_directory=directories[0],
        runtime_directory=directories[1],
        unit="shop-alert.service",
        watched_units=("shop-watchdog.service",),
        host="web1",
    )


def queued(*titles: str) -> State:
    outbox = Outbox([Message(1.0, "critical", title, "", ["a", "b"]) for title in titles])
    know_channels(outbox, ["a", "b"])
    return State(outbox=outbox)


def put_event(config: Config, number: int, kind: str = "problem", age: float = 0.0) -> None:
    event = {"kind": kind, "key": "service.x", "code": "x", "severity": "critical", "message": "m"}
    (config.inbox / f"{number:020d}-1-0.json").write_text(
        json.dumps({**event, "time": time.time() - age}), encoding="utf-8"
    )


def stored(config: Config) -> State:
    return Store([config.state_directory, config.runtime_directory]).load()


def test_a_channel_that_fails_holds_up_and_repeats_nothing(directories: list[Path]) -> None:
    state, store = queued("one", "two"), Store(directories)
    good, bad = Way("a"), Way("b", works=False)
    deliver(state, store, [bad, good], lambda: 10.0)
    deliver(store.load(), store, [bad, good], lambda: 11.0)
    assert (good.got, bad.got) == (["one", "two"], [])
    bad.works = True
    deliver(store.load(), store, [bad, good], lambda: 100.0)
    assert (good.got, bad.got) == (["one", "two"], ["one", "two"])
    assert store.load().outbox.messages == []


def test_a_run_that_is_killed_between_two_messages_repeats_none(directories: list[Path]) -> None:
    class Killed(Way):
        def send(self, message: Message) -> str:
            if self.got:
                raise KeyboardInterrupt
            return super().send(message)

    store = Store(directories)
    with pytest.raises(KeyboardInterrupt):
        deliver(queued("one", "two"), store, [Killed("a")], lambda: 10.0)
    way = Way("a")
    deliver(store.load(), store, [way], lambda: 11.0)
    assert way.got == ["two"]


def test_events_become_messages_once_though_they_can_not_be_deleted(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets(["nosuch://one"], "")
    put_event(config, 1)
    monkeypatch.setattr(run.inbox, "remove", lambda *_arguments: None)
    assert send(config, secrets) == 0
    put_event(config, 2, "resolved")
    assert send(config, secrets) == 0
    assert [message.title for message in stored(config).outbox.messages] == [
        "shop on web1: CRITICAL: x",
        "shop on web1: RESOLVED: x",
    ]


def test_a_service_can_not_say_that_its_silence_is_known(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    unit = {"LoadState": "loaded", "ActiveState": "active", "Result": "success"}
    config.unit_file.write_text(json.dumps([unit]), encoding="utf-8")
    event = {"kind": "problem", "key": "watchdog.heartbeat", "code": "watchdog_silent", "time": time.time()}
    state = State(ran=1.0)
    state.sight = dataclasses.replace(state.sight, boot_id=proc.boot_id())
    Store([config.state_directory]).save(state)
    for number, severity in enumerate(("info", "critical")):
        path = config.inbox / f"{number}.json"
        path.write_text(json.dumps({**event, "severity": severity}), encoding="utf-8")
    assert send(config, Secrets(["nosuch://one"], "")) == 0
    assert [message.title for message in stored(config).outbox.messages] == [
        "shop on web1: CRITICAL: the watchdog is silent"
    ]
    assert capsys.readouterr().err.count("only alerting itself") == 2


def test_events_are_deleted_when_they_are_taken_in(config: Config) -> None:
    put_event(config, 1)
    send(config, Secrets([], ""))
    assert list(config.inbox.iterdir()) == []
    assert "service.x" in stored(config).ledger.problems


def test_the_first_run_reports_nothing_of_what_was_before_anybody_listened(config: Config) -> None:
    put_event(config, 1, age=7200)
    put_event(config, 2, "resolved", age=7100)
    send(config, Secrets(["nosuch://one"], ""))
    assert stored(config).outbox.messages == []
    assert list(config.inbox.iterdir()) == []
    # later ones may be as old: the host was without power, or the unit was stopped
    put_event(config, 3, age=7200)
    send(config, Secrets(["nosuch://one"], ""))
    assert [message.title for message in stored(config).outbox.messages] == ["shop on web1: CRITICAL: x"]


def test_two_runs_at_once_are_one(config: Config) -> None:
    with lock(config.runtime_directory / "lock", RuntimeError()), pytest.raises(StabilityError, match="another run"):
        send(config, Secrets([], ""))


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"version": 2}', "\x00" * 50, '{"version": 1, "ledger": 5}'])
def test_a_damaged_state_is_put_aside(damage: str, directories: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    (directories[0] / "state.json").write_text(damage, encoding="utf-8")
    assert Store(directories).load() == State()
    assert (directories[0] / "state.json.damaged").read_text(encoding="utf-8") == damage
    assert "put aside" in capsys.readouterr().err


def test_without_room_on_the_disk_the_state_is_kept_in_memory(
    directories: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store([Path("/dev/full"), directories[1]])  # a file, in which no file can be made
    store.save(queued("one"))
    assert capsys.readouterr().err.startswith("/dev/full/state.json: ")
    there = Store(directories)
    state = there.load()
    assert [message.title for message in state.outbox.messages] == ["one"]
    there.save(state)
    assert (directories[0] / "state.json").exists()
    assert not (directories[1] / "state.json").exists()
    assert there.load().revision == 2


def test_where_no_state_can_be_kept_the_run_fails(directories: list[Path]) -> None:
    store = Store([Path("/dev/full"), Path("/dev/full")])
    with pytest.raises(OSError, match="state"):
        deliver(queued("one"), store, [Way("a")], lambda: 1.0)
    assert Store(directories).load() == State()


def test_what_a_killed_run_left_is_removed(directories: list[Path]) -> None:
    (directories[0] / ".state.json.abcd").touch()
    (directories[0] / "state.json").touch()
    Store(directories).clean()
    assert [path.name for path in directories[0].iterdir()] == ["state.json"]
