# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import Kept
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.publish import (
    Publisher,
    Settings,
    run,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.recorder import Places
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.requests import Objectives

LINE = {"time": "2026-11-29T12:00:00+00:00", "route": "/", "status": 200, "seconds": 0.004}
LIMITS = {"rate_limit": "PASSED", "connection_limit": "PASSED", "upstream_seconds": "0.003"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    status, target = str(tmp_path / "status.json"), str(tmp_path / "shop.prom")
    return Settings("shop", status, "", True, ["/"], Objectives(99.9, 99, 0.5), target, None)


def test_what_has_changed_is_said_and_goes_with_the_status(settings: Settings) -> None:
    status, target = Path(settings.status), Path(settings.target)
    publisher = Publisher(settings)
    publisher.publish()
    assert not target.exists()
    status.write_text(json.dumps({"service": "kiosk", "time": 5}), encoding="utf-8")
    publisher.publish()
    assert 'nodejs_service_heartbeat_timestamp_seconds{service="shop"} 5\n' in target.read_text(encoding="utf-8")
    assert target.stat().st_mode & 0o777 == 0o644
    written = target.stat().st_mtime_ns
    publisher.publish()
    assert target.stat().st_mtime_ns == written
    status.write_text("{", encoding="utf-8")
    publisher.publish()
    assert not target.exists()


@pytest.mark.parametrize("kind", ["pipe", "link", "directory", "large", "list"])
def test_what_is_no_status_makes_no_metrics_and_holds_nobody_up(tmp_path: Path, settings: Settings, kind: str) -> None:
    status = Path(settings.status)
    Path(settings.target).touch()
    (tmp_path / "other").write_text(json.dumps({"time": 5}), encoding="utf-8")
    makers = {
        "pipe": lambda: os.mkfifo(status),
        "link": lambda: status.symlink_to(tmp_path / "other"),
        "directory": status.mkdir,
        "large": lambda: status.write_text(json.dumps({"time": 5}) + " " * 2**20, encoding="utf-8"),
        "list": lambda: status.write_text("[1]", encoding="utf-8"),
    }
    makers[kind]()
    Publisher(settings).publish()
    assert not Path(settings.target).exists()


def test_requests_are_counted_also_where_no_watchdog_is(tmp_path: Path, settings: Settings) -> None:
    log, target = tmp_path / "access.log", Path(settings.target)
    log.write_text(json.dumps({**LINE, **LIMITS}) + "\n", encoding="utf-8")
    publisher = Publisher(replace(settings, access_log=str(log)))
    publisher.publish()
    counted = 'nodejs_service_http_requests_total{service="shop",entry="true",route="/",status="2xx"}'
    assert f"{counted} 0\n" in target.read_text(encoding="utf-8")
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**LINE, **LIMITS}) + "\n")
    publisher.publish()
    assert f"{counted} 1\n" in target.read_text(encoding="utf-8")


def test_without_a_textfile_what_is_measured_is_recorded_alone(tmp_path: Path, settings: Settings) -> None:
    store = tmp_path / "history.db"
    Path(settings.status).write_text(json.dumps({"targets": {"service": {"phase": "healthy"}}}), encoding="utf-8")
    (tmp_path / "monitor.log").write_text(
        json.dumps({"time": time.time(), "kind": "problem", "key": "service"}), encoding="utf-8"
    )
    places = Places(str(store), [str(tmp_path / "monitor.log")], {}, [], str(tmp_path))
    Publisher(replace(settings, target="", history=places)).publish()
    assert [event.kind for event in Kept(store).events(0)] == ["problem"]
    assert not Path(settings.target).exists()


def test_it_ends_where_it_can_not_write_and_says_why(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path(settings.status).write_text(json.dumps({"time": 5}), encoding="utf-8")
    lost = replace(settings, target=f"{Path(settings.target).parent}/gone/shop.prom")
    with pytest.raises(SystemExit):
        run(json.dumps(asdict(lost)))
    assert "No such file or directory" in capsys.readouterr().err


def test_it_goes_on_recording_and_counting_where_the_textfile_can_not_be_written(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    log, gone = tmp_path / "access.log", tmp_path / "gone"
    log.touch()
    places = Places(str(tmp_path / "history.db"), [], {}, [], str(tmp_path))
    publisher = Publisher(replace(settings, access_log=str(log), target=f"{gone}/shop.prom", history=places))
    publisher.publish()
    publisher.publish()
    assert capsys.readouterr().err.count("No such file or directory") == 1
    log.write_text(json.dumps({**LINE, **LIMITS}) + "\n", encoding="utf-8")
    publisher.publish()
    gone.mkdir()
    publisher.publish()
    assert 'route="/",status="2xx"} 1\n' in (gone / "shop.prom").read_text(encoding="utf-8")
