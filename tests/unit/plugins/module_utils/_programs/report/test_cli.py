# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command: from what is kept on a host to the page, and no more of these than a few days."""

from __future__ import annotations

import datetime
import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import MINUTE, History
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.cli import keep, main

TODAY = datetime.date(2026, 11, 29)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """What the roles have on a host."""
    diagnose = tmp_path / "diagnose"
    findings = [{"check": "disk./", "status": "warning", "message": "nearly full", "value": 86, "unit": "%"}]
    said = json.dumps({"findings": findings})
    diagnose.write_text(f"#!/bin/sh\n[ \"$*\" = '--json --read-only' ] || exit 9\necho '{said}'\n")
    diagnose.chmod(0o755)
    (tmp_path / "status.json").write_text(json.dumps({"state": "healthy", "since": 0}), encoding="utf-8")
    worst = {"statements.scans.t": {"status": "warning", "message": "read as a whole", "time": 5}}
    days = {"today": {"worst": worst}, "before": None}
    (tmp_path / "days.json").write_text(json.dumps(days), encoding="utf-8")
    History(tmp_path / "history.db").record(int(time.time()) // MINUTE * MINUTE, {"requests.2xx": (1234.0, 1234.0)})
    (tmp_path / "pages").mkdir()
    places = {"history": "history.db", "status": "status.json", "days_file": "days.json", "directory": "pages"}
    settings = {name: str(tmp_path / place) for name, place in places.items()}
    settings |= {"service": "shop", "language": "en", "diagnose_command": str(diagnose), "keep_days": "7"}
    (tmp_path / "report.json").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path


def test_the_page_is_made_of_all_that_is_there(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(host / "report.json"), []) == 0
    link = host / "pages" / "report.html"
    assert capsys.readouterr().out == f"{link}\n"
    page = link.read_text(encoding="utf-8")
    assert all(text in page for text in ("1,234", "nearly full", "read as a whole", "watchdog: healthy"))
    assert link.stat().st_mode & 0o777 == 0o640
    assert main(str(host / "report.json"), ["--language", "zh"]) == 0
    assert "请求数" in link.read_text(encoding="utf-8")


def test_without_any_of_it_there_is_a_page_that_says_so(host: Path) -> None:
    for name in ("history.db", "status.json", "days.json", "diagnose"):
        (host / name).unlink()
    os.mkfifo(host / "status.json")
    (host / "days.json").symlink_to("/dev/zero")
    assert main(str(host / "report.json"), []) == 0
    page = (host / "pages" / "report.html").read_text(encoding="utf-8")
    assert all(text in page for text in ("nothing is recorded", "the watchdog is silent", "diagnosis: no result"))


def test_a_status_of_long_ago_is_none(host: Path) -> None:
    os.utime(host / "status.json", (0, 0))
    assert main(str(host / "report.json"), []) == 0
    assert "the watchdog is silent" in (host / "pages" / "report.html").read_text(encoding="utf-8")


def test_it_says_what_it_can_not_do(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "pages").rmdir()
    assert main(str(host / "report.json"), []) == 1
    assert "No such file or directory" in capsys.readouterr().err
    (host / "report.json").write_text("{}", encoding="utf-8")
    assert main(str(host / "report.json"), []) == 1
    assert "Apply the playbook" in capsys.readouterr().err


def test_no_more_than_some_days_are_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.html").touch()
    for number in range(30):
        keep(tmp_path, f"page {number}", TODAY + datetime.timedelta(days=number), 7)
    last = TODAY + datetime.timedelta(days=29)
    kept = {f"report-{last - datetime.timedelta(days=number)}.html" for number in range(7)}
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "report.html", "notes.html"}
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "page 29"
