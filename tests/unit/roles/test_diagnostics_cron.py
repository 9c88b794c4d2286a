# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cron runs of the diagnosis ends, whatever the service has put in the place of the files that it opens."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible.plugins.filter.core import comment
from ansible_collections.workbot.stability.plugins.plugin_utils._site.diagnostics import DAILY_PREFIX, HOURLY_REPORT
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from places import ROOT

# Each run has a file that it locks, and one for its report.
HOURLY, DAILY = "--all", "--daily"
_TODAY = f"diagnose_daily_{datetime.datetime.now().astimezone():%F}.txt"
REPORTS = {HOURLY: "diagnose_hourly.log", DAILY: _TODAY}


def commands(directory: Path) -> dict[str, str]:
    """What cron hands to the shell, of each run, with files in that directory; the diagnosis says how it was called."""
    command = directory / "diagnose"
    command.write_text('#!/bin/sh\necho "diagnosis $*"\necho problem >&2\nexit 1\n')
    command.chmod(0o755)
    templates = Environment(loader=FileSystemLoader(ROOT / "roles/diagnostics/templates"), undefined=StrictUndefined)
    templates.filters["comment"] = comment
    text = (
        templates.get_template("cron.j2")
        .render(
            ansible_managed="Ansible managed",
            service_mark="shop",
            service_user="shop",
            service_log_directory=directory,
            diagnostics_hourly_schedule="0 * * * *",
            diagnostics_daily_schedule="0 0 * * *",
            service_name="shop",
            __diagnostics_site={
                "state_directory": directory,
                "settings": {"cron": {"report": HOURLY_REPORT}, "reports": {"prefix": DAILY_PREFIX}},
            },
        )
        .replace("/usr/local/bin/shop-diagnose", str(command))
    )
    lines = re.findall(r"^(?:\S+ ){5}shop (.+)$", text, re.MULTILINE)
    return dict(zip((HOURLY, DAILY), (line.replace(r"\%", "%") for line in lines), strict=True))


def run(command: str) -> int:
    return subprocess.run(["/bin/sh", "-c", command], timeout=30, check=False).returncode


@pytest.mark.parametrize("which", REPORTS)
def test_a_run_writes_its_report(tmp_path: Path, which: str) -> None:
    said, report = f"diagnosis {which}\nproblem\n", tmp_path / REPORTS[which]
    for _turn in range(2):
        assert run(commands(tmp_path)[which]) == 1
    assert report.read_text() == said * (2 if which == HOURLY else 1)


@pytest.mark.parametrize("which", REPORTS)
@pytest.mark.parametrize("place", ["lock", "report"])
def test_a_pipe_is_not_waited_for_without_an_end(tmp_path: Path, which: str, place: str) -> None:
    os.mkfifo(tmp_path / (REPORTS[which] if place == "report" else place))
    # as it is, but for the time
    assert run(re.sub(r"timeout -k 5 \d+", "timeout -k 5 1", commands(tmp_path)[which])) == 124


def test_the_limit_leaves_time_for_the_lock_and_the_run(tmp_path: Path) -> None:
    for command in commands(tmp_path).values():
        wait = re.findall(r"flock -w (\d+)", command)
        whole, *runs = re.findall(r"timeout -k 5 (\d+)", command)
        assert int(whole) > sum(map(int, wait)) + sum(int(seconds) + 5 for seconds in runs)
