# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagnosis as one program, with real files, sockets and threads."""

from __future__ import annotations

import datetime
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    Finding,
    Thresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.accounts import user_name
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose import cli as diagnose
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks import service
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks import storage as host
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.runner import Context, run_checks
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

HOUR = 3600.0
MB = 1024 * 1024
SECRET = "correct-horse-battery-staple-and-more"


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A host where nothing of the service is there."""
    for name in ("log", "state", "config"):
        (tmp_path / name).mkdir()
    environment = tmp_path / "config/environment"
    environment.write_text(f"JWT_SECRET={SECRET}\nDATABASE_URL=postgresql://u:{SECRET}@127.0.0.1:1/app\n")
    environment.chmod(0o600)
    thresholds = yaml.safe_load((ROOT / "roles/diagnostics/vars/main.yml").read_text())["__diagnostics_thresholds"]
    busy = ("heap_percent", "rss_percent", "host_memory_percent", "cgroup_percent", "disk_percent")
    return {
        "service": "app",
        "user": user_name(os.getuid()),
        "timeout_ms": 3000,
        "state_file": str(tmp_path / "state/state.json"),
        "days_file": str(tmp_path / "state/days.json"),
        "units": [],
        "thresholds": thresholds | {name: {"warning": 98, "critical": 99} for name in busy},
        "release": {"active": str(tmp_path / "active"), "current": str(tmp_path / "current")},
        "health": {"url": "", "host_name": "", "path": "/api/health", "http_timeout_ms": 1000},
        "websocket": {"url": "ws://127.0.0.1:1", "paths": ["/ws"]},
        "certificates": {"url": "https://127.0.0.1:1"},
        "cron": {
            "directory": str(tmp_path / "log"), "report": "hourly.log", "since": str(tmp_path), "overdue_hours": 3,
        },
        "pm2": {
            "home": str(tmp_path), "bin": "/nonexistent", "prefix": "app-", "instances": 2,
        },
        "memory": {"heap_limit_mb": 0, "memory_restart_mb": 0},
        "logs": {
            "directory": str(tmp_path / "log"), "rotation_days": 2,
        },
        "disk": {"paths": [str(tmp_path), str(tmp_path / "log")]},
        "secrets": {"file": str(environment), "required_secrets": ["JWT_SECRET"], "secret_min_length": 32},
        "database": {
            "enabled": False, "file": str(environment), "diagnosis": {},
            "watchdog_status": str(tmp_path / "status.json"),
            "service": {"name": "app", "instances": 2, "pool_max": 20}, "others": {}, "window": 600,
            "slow_query_count": 10, "statements_file": str(tmp_path / "state/statements.json"),
        },
        "reports": {"directory": str(tmp_path / "log"), "prefix": "diagnose_daily_", "keep_days": 30},
    }  # fmt: skip


@pytest.fixture
def context_at(config: dict[str, Any]) -> Callable[[float], Context]:
    """A run at a time; the samples of the one before are read from the file."""
    return lambda now: Context(config, Samples(Path(config["state_file"])), now)


def write_config(config: dict[str, Any], tmp_path: Path) -> str:
    path = tmp_path / "diagnose.json"
    path.write_text(json.dumps(config))
    return str(path)


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def test_the_table_names_every_part_of_a_host_where_nothing_runs(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose.main(write_config(config, tmp_path), ["--all"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("app on ")
    assert ": CRITICAL (" in lines[0]
    named = {line.split()[1].split(".")[0] for line in lines[1:]}
    assert named == {
        "release", "health", "event_loop", "websocket", "certificates", "processes", "memory", "kernel", "clock",
        "cron", "logs", "disk", "secrets",
    }  # fmt: skip
    assert "\x1b" not in "".join(lines)


def test_json_is_one_object_without_any_secret(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config["database"]["enabled"] = True
    assert diagnose.main(write_config(config, tmp_path), ["--json"]) == 2
    output = capsys.readouterr().out
    assert json.loads(output)["status"] == CRITICAL
    assert SECRET not in output


def test_one_check_alone_decides_the_exit_status(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(config, tmp_path)
    assert diagnose.main(path, ["--check", "logs"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    Path(config["logs"]["directory"]).rmdir()
    assert diagnose.main(path, ["--check", "logs"]) == 2


def test_read_only_keeps_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    path, state = write_config(config, tmp_path), tmp_path / "state"
    diagnose.main(path, ["--read-only"])
    assert list(state.iterdir()) == []
    diagnose.main(path, [])
    assert sorted(file.name for file in state.iterdir()) == ["days.json", "state.json"]


def test_the_daily_report_adds_the_day(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config["reports"]["page"] = "/var/lib/app-report/report.html"
    path = write_config(config, tmp_path)
    diagnose.main(path, [])
    capsys.readouterr()
    diagnose.main(path, ["--daily"])
    output = capsys.readouterr().out
    assert "(2 runs):" in output
    assert "critical  release" in output.partition("Worst since")[2]
    assert output.endswith("as a page for a browser: /var/lib/app-report/report.html\n")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--daily", option] for option in ("--json", "--watch")),
        ["--check", "no"],
    ],
)
def test_wrong_arguments(arguments: list[str], config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as error:
        diagnose.main(write_config(config, tmp_path), arguments)
    assert error.value.code == 2


@pytest.mark.parametrize("option", ["--watch", "--timeout"])
@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e99", "abc", ""])
def test_a_wrong_number_of_seconds_is_named(
    option: str, seconds: str, config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        diagnose.main(write_config(config, tmp_path), [f"{option}={seconds}"])
    assert error.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"argument {option}: {seconds!r} is not a number of seconds from 0.1 to 3600")


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff", '{"service": "x"}'])
def test_a_broken_configuration_is_told(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "diagnose.json"
    path.write_text(content)
    assert diagnose.main(str(path), []) == 2
    assert "Apply the playbook" in capsys.readouterr().err


def test_a_check_that_hangs_or_fails_is_a_finding(
    config: dict[str, Any], context_at: Callable[[float], Context]
) -> None:
    config["timeout_ms"] = 200

    def hang(_context: Context) -> list[Finding]:
        time.sleep(30)
        return []

    def fail(_context: Context) -> list[Finding]:
        raise RuntimeError(SECRET)

    started = time.monotonic()
    findings = run_checks({"hang": hang, "fail": fail, "disk": host.check_disk}, context_at(0))
    assert time.monotonic() - started < 10
    assert [finding.status for finding in findings[:2]] == [CRITICAL, CRITICAL]
    assert findings[0].message.startswith("the check hang did not finish in time: what it asks hangs.")
    assert statuses(findings[2:])[f"disk.{config['disk']['paths'][0]}"] == OK
    assert SECRET not in repr(findings)


def grow(config: dict[str, Any], name: str, size: int) -> Path:
    path = Path(config["logs"]["directory"]) / name
    with path.open("ab") as file:
        file.truncate(size)
    return path


def look(context: Context) -> dict[str, Finding]:
    findings = {finding.check: finding for finding in host.check_logs(context)}
    context.samples.save()
    return findings


def test_growth_is_measured_against_the_last_look(
    config: dict[str, Any], context_at: Callable[[float], Context]
) -> None:
    grow(config, "out.log", 10 * MB)
    assert look(context_at(0.0))["logs.out.log"].status == OK
    grow(config, "out.log", 70 * MB)
    finding = look(context_at(HOUR))["logs.out.log"]
    assert (finding.status, finding.value, finding.unit) == (WARNING, 60.0, "MB/h")


def test_what_went_into_a_rotated_file_counts_as_growth(
    config: dict[str, Any], context_at: Callable[[float], Context]
) -> None:
    path = grow(config, "out.log", 10 * MB)
    look(context_at(0.0))
    grow(config, "out.log", 500 * MB)
    path.rename(path.with_name("out.log.1"))
    grow(config, "out.log", 20 * MB)
    finding = look(context_at(HOUR))["logs.out.log"]
    assert (finding.status, finding.value) == (CRITICAL, 510.0)


def test_a_log_emptied_in_place_grew_by_what_is_in_it(
    config: dict[str, Any], context_at: Callable[[float], Context]
) -> None:
    grow(config, "out.log", 400 * MB)
    look(context_at(0.0))
    grow(config, "out.log", 60 * MB)
    assert look(context_at(HOUR))["logs.out.log"].value == 60.0


def test_runs_in_between_do_not_shorten_the_measure(
    config: dict[str, Any], context_at: Callable[[float], Context]
) -> None:
    """The watchdog looks every five minutes: a burst between two looks is no growth, and a real one is told by each."""
    for minute in range(0, 180, 5):
        grow(config, "out.log", max(1, (12 if minute >= 20 else 0) * MB, 2 * (minute - 55) * MB))
        finding = look(context_at(60.0 * minute))["logs.out.log"]
        if minute < 60 or minute >= 90:
            assert finding.status == (OK if minute < 60 else WARNING), (minute, finding.message)


def test_a_log_that_is_never_rotated_is_told(config: dict[str, Any], context_at: Callable[[float], Context]) -> None:
    grow(config, "out.log", 5)
    grow(config, "empty.log", 0)
    look(context_at(0.0))
    late = look(context_at(60 * HOUR))
    assert late["logs.rotation.out.log"].value == 2.5
    assert "logs.rotation.empty.log" not in late


def test_daily_reports_are_pruned_by_their_date(config: dict[str, Any]) -> None:
    directory = Path(config["logs"]["directory"])
    kept = ["diagnose_daily_2026-03-02.txt", "diagnose_daily_.txt", "diagnose_daily_2026-13-45.txt", "out.log"]
    for name in ["diagnose_daily_2026-03-01.txt", "diagnose_daily_2020-12-31.txt", *kept]:
        (directory / name).touch()
    diagnose.prune(config["reports"], datetime.date(2026, 4, 1))
    assert sorted(path.name for path in directory.iterdir()) == sorted(kept)


@given(st.binary(max_size=200))
def test_a_corrupt_state_file_is_one_without_samples(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("state") / "state.json"
    path.write_bytes(content)
    samples = Samples(path)
    assert samples.previous("log.x") is None
    samples.record("log.x", "1", 5, 0)
    samples.save()
    assert Samples(path).previous("log.x") is not None


def test_events_are_counted_within_their_time_and_survive_the_file(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "state.json")
    assert samples.happened("x", 0, 0, HOUR) == 0
    assert samples.happened("x", 2, 100, HOUR) == 2
    samples.save()
    again = Samples(tmp_path / "state.json")
    assert again.happened("x", 1, 200, HOUR) == 3
    assert again.happened("x", 0, 150 + HOUR, HOUR) == 1
    # the clock was set back: what lies in the future is nothing that has happened
    assert again.happened("x", 0, 50, HOUR) == 0


def test_what_one_run_does_not_see_is_kept_for_the_next_but_not_for_ever(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "state.json")
    samples.record("a", "1", 5, 0)
    samples.happened("restarts.a", 1, 0, HOUR)
    samples.save()
    later = Samples(tmp_path / "state.json")
    later.record("b", "1", 5, 40 * HOUR)
    later.save()
    assert Samples(tmp_path / "state.json").previous("a") is not None
    assert "restarts.a" in (tmp_path / "state.json").read_text(encoding="utf-8")
    later.record("c", "1", 5, 60 * HOUR)
    later.save()
    assert Samples(tmp_path / "state.json").previous("a") is None
    assert "restarts.a" not in (tmp_path / "state.json").read_text(encoding="utf-8")


def test_a_clock_set_back_does_not_freeze_a_sample(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "state.json")
    samples.record("log.x", "1", 5, 1_000_000)
    assert samples.record("log.x", "1", 6, 500).time == 500


def pm2(pid: int | None, name: str = "app-1", status: str = "online") -> Pm2Process:
    return Pm2Process(name, pid or 0, pid, status, 0, 100.0)


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([pm2(1), pm2(2)], {"processes": OK}),
        ([pm2(1), pm2(None, status="errored")], {"processes": WARNING}),
        ([pm2(None, status="stopped")], {"processes": CRITICAL}),
        ([], {"processes": CRITICAL}),
        ([pm2(1), pm2(2), pm2(3)], {"processes": WARNING}),
        ([pm2(1), pm2(2), pm2(3, "app-0")], {"processes": OK, "processes.other": WARNING}),
    ],
)
def test_workers_are_counted(processes: list[Pm2Process], expected: dict[str, str]) -> None:
    assert statuses(service.judge_processes(processes, "app-", "1", 2, 160.0)) == expected


def test_the_active_release_is_what_both_links_say(tmp_path: Path) -> None:
    active, current = tmp_path / "active", tmp_path / "current"

    def judged() -> tuple[str, Any]:
        (finding,) = service.judge_release(str(active), str(current))
        return finding.status, finding.value

    assert judged() == (CRITICAL, None)
    active.symlink_to(tmp_path / "abc")
    assert judged() == (CRITICAL, "abc")
    (tmp_path / "abc").mkdir()
    assert judged() == (CRITICAL, "abc")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "abc/0.sock"))
    current.symlink_to("releases/old")
    assert judged() == (WARNING, "abc")
    current.unlink()
    current.symlink_to("releases/abc")
    assert judged() == (OK, "abc")
    active.unlink()
    active.symlink_to(tmp_path / "abc@2")
    (tmp_path / "abc@2").symlink_to(tmp_path / "abc")
    assert judged() == (OK, "abc")


def test_units() -> None:
    states = {
        "cron.service": {"ActiveState": "active", "SubState": "running", "NRestarts": "2"},
        "nginx.service": {"ActiveState": "failed"},
        "gone.service": {"ActiveState": "inactive", "LoadState": "not-found"},
        "postgresql@17-main.service": {"ActiveState": "activating"},
    }
    findings = service.judge_units(["cron", "nginx.service", "gone.service", "postgresql@*", "redis@*"], states)
    assert statuses(findings) == {
        "units.cron.service": OK,
        "units.nginx.service": CRITICAL,
        "units.gone.service": CRITICAL,
        "units.postgresql@17-main.service": WARNING,
        "units.redis@*.service": CRITICAL,
    }
    gone = next(finding for finding in findings if finding.check == "units.gone.service")
    assert gone.message == "no unit gone.service is loaded. To start it where it is installed: `systemctl start gone`."


def test_disk_space_is_judged_as_df_shows_it() -> None:
    usage = os.statvfs_result((4096, 4096, 1000, 100, 50, 100, 4, 4, 0, 255))
    space, inodes = host.judge_disk("/", usage, Thresholds(85, 95))
    assert (space.value, space.status) == (94.7, WARNING)
    assert (inodes.value, inodes.status) == (96.0, CRITICAL)
