# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rounds of the watchdog on files of its own: what it writes, keeps, reports, and does when it can't write.

Here no PM2 runs: that is a condition as good as any. Remedies at work are tested on the host.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import cli, loop
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.loop import Watch
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    SERVICE,
    Assessment,
    Condition,
    Remedy,
    Step,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.status import (
    publish,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.deployments import Deployed, note
from watch_samples import Listener, readings, settings, settings_content


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("events", "home"):
        (tmp_path / name).mkdir()
    return tmp_path


def watch(directory: Path, **changes: Any) -> Watch:
    return Watch(settings(directory, failure_threshold=2, **changes), Listener())


def status(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "status.json").read_text())
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_round_writes_what_it_sees(directory: Path) -> None:
    for number, result in enumerate(("succeeded", "failed", "succeeded")):
        note(directory, Deployed(1764100000.0 + number, 12.5, "3fa9", "3fa9@2", result))
    (directory / "out.log").write_text("x" * 100)
    one = watch(directory)
    assert one.round() == (False, False)
    found = status(directory)
    assert (found["service"], found["state"]) == ("shop", "suspect")
    assert found["targets"]["service"]["condition"]["code"] == "daemon_dead"
    assert found["targets"]["proxy"] == {**found["targets"]["proxy"], "phase": "healthy", "condition": None}
    assert abs(found["time"] - time.time()) < 5
    times = {result: deployed["time"] for result, deployed in found["deployments"].items()}
    assert times == {"succeeded": 1764100002.0, "failed": 1764100001.0}
    assert found["readings"]["log_bytes"] >= 100
    assert 0 < found["watchdog"]["cpu_seconds"] <= time.process_time() + 0.02
    assert set(found["steps"].values()) == {0}
    assert (directory / "status.json").stat().st_mode & 0o777 == 0o640


def test_the_log_says_what_inhibits_it_and_until_when(directory: Path) -> None:
    one = watch(directory)
    with (directory / ".processes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        one.round()
        one.round()
    one.round()
    inhibitions = [entry for entry in lines(directory / "monitor.log") if entry["kind"] == "inhibition"]
    assert [(entry["key"], entry["from"], entry["to"]) for entry in inhibitions] == [
        (SERVICE, "", "deployment"),
        (SERVICE, "deployment", ""),
    ]


def test_a_step_that_cannot_be_done_is_reported_and_counts(directory: Path) -> None:
    """There is no root helper to restart the unit."""
    one = watch(directory)
    one.round()
    assert one.round() == (False, True)
    (action,) = lines(directory / "recovery.log")
    assert (action["code"], action["values"]["done"]) == ("restart_daemon", False)
    assert "act.sock did not answer" in action["message"]
    found = status(directory)
    assert (found["budget"]["used"], found["actions_total"]) == ({"service": 1, "proxy": 0}, 1)
    assert {step: count for step, count in found["steps"].items() if count} == {"restart_daemon": 1}
    assert [entry["key"] for entry in lines(directory / "monitor.log") if entry["kind"] == "problem"] == ["service"]
    events = [json.loads(path.read_text())["kind"] for path in sorted((directory / "events").iterdir())]
    assert events == ["problem", "action"]


def test_a_step_that_restarted_nothing_excuses_no_restart(directory: Path) -> None:
    """The process that was judged is gone: its number is another one's, if anybody's."""
    one = watch(directory)
    (directory / "active").symlink_to("1a2b3c")
    hung = Condition(Code.WORKER_HUNG, "worker 0 does not answer", (Remedy.KILL_WORKER,), (0,))
    one._act(Step(SERVICE, Remedy.KILL_WORKER, hung, 1), readings())
    assert lines(directory / "recovery.log")[0]["message"] == (
        "kill_worker failed: the processes that hung are gone already"
    )
    assert not +one._reader.restarts._forgiven


def test_another_activation_is_asked_for_once_an_hour_whether_or_not_it_comes(directory: Path) -> None:
    one = watch(directory)
    assert one._reader.read(5000.0).renewable
    hung = Condition(Code.DAEMON_HUNG, "no answer", (Remedy.RENEW_ACTIVATION,))
    one._act(Step(SERVICE, Remedy.RENEW_ACTIVATION, hung, 1), readings(now=5000.0))
    assert "renew_activation failed" in lines(directory / "recovery.log")[0]["message"]
    assert not one._reader.read(5000.0 + 3599).renewable
    assert one._reader.read(5000.0 + 3600).renewable


def test_a_pm2_that_has_grown_is_replaced_and_no_step_is_spent_on_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(loop, "act", lambda _path, word, _seconds: asked.append(word) or "it is begun")
    one = watch(directory)
    one._replace_grown(readings(daemon_mb=75, renewable=True))
    one._replace_grown(readings(daemon_mb=300))
    assert not asked
    one._replace_grown(readings(now=5000.0, daemon_mb=300, renewable=True))
    assert asked == ["renew-activation"]
    (action,) = lines(directory / "recovery.log")
    assert (action["code"], action["message"]) == ("renew_activation", "PM2 has grown to 300 MB: it is begun")
    assert not one._state.targets[SERVICE].actions
    assert not one._reader.read(5000.0 + 60).renewable


def test_a_new_watchdog_goes_on_where_the_old_one_was(directory: Path) -> None:
    one = watch(directory)
    one.round()
    one.round()
    before = status(directory)
    two = watch(directory)
    two.round()
    after = status(directory)
    assert (after["budget"], after["actions_total"]) == (before["budget"], before["actions_total"])
    assert len(lines(directory / "recovery.log")) == 1


def test_a_lost_state_file_does_not_give_the_budget_back(directory: Path) -> None:
    one = watch(directory)
    one.round()
    one.round()
    (directory / "state.json").write_text("{broken")
    watch(directory).round()
    found = status(directory)
    assert found["budget"]["used"]["service"] == 1
    assert "state_corrupt" in [problem["code"] for problem in found["problems"]]
    assert (directory / "state.json.corrupt").read_text() == "{broken"


def test_neither_does_one_that_is_gone_or_could_not_be_written_any_more(directory: Path) -> None:
    one = watch(directory)
    one.round()
    old = (directory / "state.json").read_text()
    one.round()
    (directory / "state.json").write_text(old)
    watch(directory).round()
    assert status(directory)["budget"]["used"]["service"] == 1
    (directory / "state.json").unlink()
    watch(directory).round()
    assert status(directory)["budget"]["used"]["service"] == 1


@pytest.mark.parametrize("gap", ["a new watchdog", "the host slept"])
def test_probes_before_and_after_a_long_gap_are_not_in_a_row(directory: Path, gap: str) -> None:
    one = watch(directory)
    one.round()
    if gap == "a new watchdog":
        one = watch(directory)
    else:
        one._probed_at -= 3600
    assert one.round() == (False, False)
    assert one.round() == (False, True)


def test_what_a_person_gave_back_stays_given_back(directory: Path) -> None:
    one = watch(directory)
    one.round()
    one.round()
    (directory / "resume").touch()
    one.round()
    watch(directory).round()
    assert [entry["kind"] for entry in lines(directory / "recovery.log")] == ["action", "resume"]
    assert status(directory)["budget"]["used"]["service"] == 0


def test_a_pause_keeps_it_from_acting_until_it_is_resumed(directory: Path) -> None:
    one = watch(directory)
    config = directory / "watchdog.json"
    config.write_text(json.dumps(settings_content(directory, user="nobody")))
    assert command(config, "pause", "--for", "5m") == 0
    for _number in range(4):
        assert one.round() == (True, False)
    assert status(directory)["state"] == "paused"
    assert command(config, "resume") == 0
    one.round()
    assert one.round() == (False, True)
    (directory / "pause.json").write_text("1e999")
    assert (one.round(), "pause_unreadable" in str(status(directory)["problems"])) == ((True, False), True)


def command(config: Path, *arguments: str) -> int:
    """As the present user: becoming the service's is for the host's tests."""
    return cli.main(str(config), arguments)


@pytest.fixture(autouse=True)
def stay_the_same_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "become", lambda _user: None)


def test_what_cannot_be_written_is_a_problem_and_no_end(directory: Path) -> None:
    one = watch(directory, log_directory=str(directory / "gone"))
    one.round()
    one.round()
    one.round()
    codes = {problem["code"] for problem in status(directory)["problems"]}
    assert "log_not_writable" in codes
    (directory / "gone").mkdir()
    one._summary_at = 0.0
    one.round()
    one.round()
    assert "log_not_writable" not in {problem["code"] for problem in status(directory)["problems"]}


def test_events_that_cannot_be_written_are_a_problem_of_their_own(directory: Path) -> None:
    one = watch(directory)
    (directory / "events").rmdir()
    (directory / "events").touch()
    for _number in range(3):
        one.round()
    assert "watchdog.events_not_writable" in {problem["key"] for problem in status(directory)["problems"]}
    (directory / "events").unlink()
    one.round()
    kinds = [json.loads(path.read_text())["kind"] for path in sorted((directory / "events").iterdir())]
    assert kinds[:2] == ["problem", "action"]


def test_a_probe_that_fails_unforeseen_is_no_end_and_no_sign_of_life(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = watch(directory)
    monkeypatch.setattr(one._reader, "read", lambda _now, _suspect: 1 / 0)
    assert one._try_round() == (False, False)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert isinstance(one._notifier, Listener)
    assert not one._notifier.sent


def test_a_stop_does_not_wait_for_a_long_probe(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watch(directory)
    monkeypatch.setattr(one._reader, "read", lambda _now, _suspect: one._on_signal(15, None))
    with pytest.raises(SystemExit):
        one._try_round()


def test_new_settings_end_it_so_that_systemd_starts_it_with_them(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.signal, "signal", lambda _number, _handler: None)
    config, program = directory / "watchdog.json", directory / "gone"
    config.write_text("{}")
    one = Watch(settings(directory, period=0, suspect_period=0), Listener(), [config, program])
    assert not one._is_outdated()
    (directory / "new").write_text("{}")
    (directory / "new").rename(config)
    one.run()
    assert not (directory / "status.json").exists()
    config.unlink()
    assert not one._is_outdated()


def test_after_a_stop_no_probe_is_begun(directory: Path) -> None:
    one = watch(directory)
    one._on_signal(15, None)
    with pytest.raises(SystemExit):
        one.round()
    assert not (directory / "status.json").exists()


def test_pm2_that_takes_long_over_a_lost_process_does_not_end_the_watchdog(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_KEEP_ALIVE_SECONDS", 0.02)
    one = watch(directory)
    monkeypatch.setattr(one._reader.surplus, "remove", lambda _pids, _numbers: time.sleep(0.3))
    one._remove_surplus(readings(surplus=(77,)))
    assert isinstance(one._notifier, Listener)
    assert one._notifier.sent.count("WATCHDOG=1") >= 3


def test_what_is_no_text_does_not_keep_a_status_from_being_written(directory: Path) -> None:
    """JSON can say half a character, and a worker's answer is quoted."""
    publish(directory / "status.json", {"message": "\ud800 中"})
    assert status(directory) == {"message": "? 中"}


def test_systemd_is_told_nothing_that_a_worker_says_of_itself(directory: Path) -> None:
    said = Condition(Code.WORKER_MISSING, "worker 0 is \x1b[2J\nMAINPID=1", ())
    assert watch(directory)._summary(Assessment({"service": said})) == "healthy: worker_missing"


def test_the_command_shows_state_and_history(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = directory / "watchdog.json"
    config.write_text(json.dumps(settings_content(directory)))
    assert command(config, "status") == 3
    assert "does not run" in capsys.readouterr().err
    one = watch(directory)
    one.round()
    one.round()
    assert command(config, "status") == 2
    shown = capsys.readouterr().out
    assert "RECOVERING" in shown
    assert "no PM2 daemon runs" in shown
    assert command(config, "history") == 0
    history = capsys.readouterr().out.splitlines()
    assert len(history) == 2
    assert "problem" in history[0]
    assert "restart_daemon" in history[1]
    os.utime(directory / "status.json", (1, 1))
    assert command(config, "status") == 3
    assert "hangs or was stopped" in capsys.readouterr().err


def test_the_second_watchdog_of_a_service_is_refused(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = directory / "watchdog.json"
    content = settings_content(directory)
    config.write_text(json.dumps(content))
    path = Path(str(content["run_directory"])) / "lock"
    with lock(path, RuntimeError(), mode=0o644):
        assert command(config, "run") == 3
    assert f"a watchdog of this service runs already: it holds {path}" in capsys.readouterr().err


def test_a_long_step_keeps_systemd_from_killing_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_KEEP_ALIVE_SECONDS", 0.02)
    listener = Listener()
    with listener.kept_alive(10):
        time.sleep(0.2)
    sent = len(listener.sent)
    assert sent >= 3
    time.sleep(0.1)
    assert len(listener.sent) <= sent + 1
    with listener.kept_alive(0.05):
        time.sleep(0.3)
    assert len(listener.sent) < sent + 8
