# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's state file and its logs: what a killed, damaged or full host leaves of them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.small_file import tail
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import events
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import state_files as kept
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.flapping import Bucket
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    PROXY,
    SERVICE,
    TARGETS,
    Event,
    OwnStop,
    Problem,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import (
    Open,
    Phase,
    State,
    TargetState,
)

FULL = Problem("diagnose.disk", Code.FINDING, "warning", "86 %", {"value": 86})
STATE = State(
    {
        SERVICE: TargetState(
            Phase.RECOVERING,
            90.0,
            4,
            "worker_hung",
            "warning",
            (0, 1),
            80.0,
            2,
            1,
            1,
            95.0,
            125.0,
            True,
            "deployment",
            85.0,
            (20.0, 95.0),
            True,
            Bucket(9.5, True),
        ),
        PROXY: TargetState(),
    },
    7,
    {FULL.key: Open(FULL, 50.0)},
    own_stops=(OwnStop(1, 1764100000.25),),
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    kept.save(path, STATE, "this-boot")
    assert kept.load(path, "this-boot", 100.0) == STATE


def since(moment: float, **more: Any) -> State:
    return State(targets={target: TargetState(since=moment) for target in TARGETS}, **more)


def test_without_a_file_the_state_begins_now(tmp_path: Path) -> None:
    assert kept.load(tmp_path / "state.json", "this-boot", 100.0) == since(100.0)


@pytest.mark.parametrize(("boot", "moment"), [("another", 30.0), ("this-boot", 60.0)])
def test_after_a_boot_only_problems_and_the_number_of_steps_count(tmp_path: Path, boot: str, moment: float) -> None:
    path = tmp_path / "state.json"
    kept.save(path, STATE, "this-boot")
    known = {FULL.key: Open(FULL, min(50.0, moment))}
    assert kept.load(path, boot, moment) == since(moment, actions_total=7, problems=known)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"null", b'{"boot": 1}', b"\xff\xfe", b"[" * 100_000, b'{"targets": {"service": 1}}']
)
def test_a_damaged_file_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(damage)
    with pytest.raises(kept.StabilityError, match=r"put aside as .*state\.json\.corrupt"):
        kept.load(path, "this-boot", 100.0)
    assert (tmp_path / "state.json.corrupt").read_bytes() == damage
    assert kept.load(path, "this-boot", 100.0) == since(100.0)


def test_whatever_numbers_a_state_has_it_is_read_or_put_aside(tmp_path: Path) -> None:
    """Each number of it in turn is one that Python would fail at later, or that would never pass."""
    path = tmp_path / "state.json"
    kept.save(path, STATE, "this-boot")
    whole = path.read_text()
    numbers = list(re.finditer(r"(?<=[ \[])-?[0-9.]+(?=[,\]}])", whole))
    assert len(numbers) > 20
    for number in numbers:
        for odd in ("1e999", "-1e999", "NaN", "1e300", "9" * 400, "9" * 5000):
            path.write_text(whole[: number.start()] + odd + whole[number.end() :])
            with pytest.raises(kept.StabilityError):
                kept.load(path, "this-boot", 100.0)


@pytest.mark.parametrize("field", ["since", "acted_at", "grace_until", "inhibition_since"])
def test_a_time_that_is_still_to_come_is_not_waited_for(tmp_path: Path, field: str) -> None:
    path = tmp_path / "state.json"
    later = dataclasses.replace(STATE.targets[SERVICE], **{field: 1e9})
    kept.save(path, dataclasses.replace(STATE, targets={**STATE.targets, SERVICE: later}), "this-boot")
    assert kept.load(path, "this-boot", 100.0).targets == since(100.0).targets


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_is_no_file_is_put_aside_too(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.json"
    (tmp_path / "state.json.corrupt").write_text("an earlier one")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        (path / "full").mkdir(parents=True)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(kept.StabilityError, match="put aside as"):
        kept.load(path, "this-boot", 100.0)
    kept.save(path, STATE, "this-boot")
    assert kept.load(path, "this-boot", 100.0) == STATE


def test_a_log_that_is_a_fifo_holds_nobody_up(tmp_path: Path) -> None:
    log = tmp_path / "recovery.log"
    os.mkfifo(log)
    assert tail(log) == []
    with pytest.raises(OSError):
        events.append_line(log, {})


def test_the_budget_of_a_lost_state_is_in_the_recovery_log() -> None:
    service = {"kind": "action", "key": "service.restart_app", "boot": "this-boot"}
    entries = [
        {**service, "boottime": 10.0},
        {**service, "boottime": 930.0},
        {"kind": "resume", "key": "watchdog", "boot": "this-boot", "boottime": 940.0},
        {**service, "boottime": 950.0},
        {**service, "boottime": 955.0, "key": "proxy.restart_proxy"},
        {**service, "boottime": 955.0, "key": "kitchen.burn"},
        {**service, "boottime": 960.0, "kind": "problem"},
        {**service, "boottime": 970.0, "boot": "another"},
        {**service, "boottime": "much"},
        {**service, "boottime": 10**400},
    ]
    lines = ["no json", "[]", *(json.dumps(entry) for entry in entries)]
    assert kept.actions_of_log(lines, "this-boot", 1000.0, 900.0) == {SERVICE: (950.0,), PROXY: (955.0,)}


def test_a_log_gets_one_line_a_record_and_is_reopened(tmp_path: Path) -> None:
    log = tmp_path / "monitor.log"
    events.append_line(log, {"message": "two\nlines, 中文"})
    log.rename(tmp_path / "monitor.log.1")
    events.append_line(log, {"message": "after"})
    assert json.loads((tmp_path / "monitor.log.1").read_text(encoding="utf-8")) == {"message": "two\nlines, 中文"}
    assert tail(log) == ['{"message": "after"}']


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "recovery.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        events.append_line(tmp_path / "recovery.log", {})
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_an_error_not_half_a_line() -> None:
    with pytest.raises(OSError, match="No space left"):
        events.append_line(Path("/dev/full"), {"message": "x"})


def test_the_tail_of_a_long_log_begins_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "recovery.log"
    log.write_text("".join(f"line {number:06d}\n" for number in range(50_000)), encoding="utf-8")
    lines = tail(log)
    assert lines[-1] == "line 049999"
    assert all(len(line) == len("line 000000") for line in lines)
    assert tail(tmp_path / "missing.log") == []


def test_events_wait_in_order_and_the_oldest_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST_EVENTS", 3)
    outbox = events.Outbox(tmp_path)
    for number in range(5):
        outbox.put(Event("problem", "service", "worker_hung", "critical", f"number {number}", {"workers": [0]}), 12.5)
    waiting = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.iterdir())]
    assert [event["message"] for event in waiting] == ["number 2", "number 3", "number 4"]
    assert waiting[0]["values"] == {"workers": [0]}
    assert waiting[0]["time"] == 12.5
    assert all((tmp_path / f"{event['id']}.json").is_file() for event in waiting)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_events_that_could_not_be_written_are_reported_later(tmp_path: Path) -> None:
    outbox = events.Outbox(tmp_path / "events")
    (tmp_path / "events").write_text("in the way")
    with pytest.raises(OSError):
        outbox.put(Event("problem", "service", "worker_hung", "critical", "first"), 12.5)
    (tmp_path / "events").unlink()
    outbox.put(Event("resolved", "service", "worker_hung", "info", "second"), 13.5)
    outbox.flush()
    waiting = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((tmp_path / "events").iterdir())]
    assert [entry["message"] for entry in waiting] == ["first", "second"]


def test_a_pause_ends_by_itself_or_by_resume(tmp_path: Path) -> None:
    control = kept.Control(tmp_path)
    assert control.paused(100.0) is None
    control.pause(kept.Pause(100.0, 160.0, "alice"))
    assert control.paused(159.0) == kept.Pause(100.0, 160.0, "alice")
    assert control.paused(160.0) is None
    control.pause(kept.Pause(200.0, None, "alice"))
    assert control.paused(1e12) is not None
    assert not control.take_resume()
    control.resume()
    assert control.paused(201.0) is None
    assert control.take_resume()
    assert not control.take_resume()


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "{}",
            "[1]",
            "[" * 4096,
            '{"since": 1, "until": "soon", "by": "x"}',
            '{"since": 1, "until": 1e99, "by": ""}',
        ),
        *('{"since": 1e999, "until": null, "by": ""}', '{"since": 1, "until": NaN, "by": ""}'),
    ],
)
def test_a_pause_that_cannot_be_read_counts(tmp_path: Path, content: str) -> None:
    (tmp_path / "pause.json").write_text(content)
    assert kept.Control(tmp_path).paused(5.0) == kept.Pause(5.0, None, "unknown")


def test_a_pause_that_is_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pause.json")
    assert kept.Control(tmp_path).paused(5.0) == kept.Pause(5.0, None, "unknown")
