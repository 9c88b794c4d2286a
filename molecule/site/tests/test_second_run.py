# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook on a host that is as it should be: it says that nothing changed, and nothing did."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
# Of these services every process but the short-lived helpers must stay: masters, daemons and workers.
UNITS = ("nginx.service", "pm2-workbot.service", "system-postgresql.slice", "cron.service")
# PostgreSQL starts a backend for each connection and these workers when it likes.
COMING_AND_GOING = re.compile(r"postgres: (?!.*(checkpointer|background writer|walwriter|launcher))")


def play(*options: str) -> str:
    run = subprocess.run(
        ["ansible-playbook", "--inventory=molecule/inventory", *options, "workbot.stability.site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def processes(host: Host) -> dict[str, set[tuple[str, str, str]]]:
    """Of each unit the processes: id, start in clock ticks since the machine's boot, command line."""
    found = {}
    for unit in UNITS:
        group = host.check_output("systemctl show --property=ControlGroup --value %s", unit)
        assert group, f"{unit} does not run"
        listing = host.check_output(
            "find /sys/fs/cgroup%s /sys/fs/cgroup/systemd%s -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |"
            " while read -r pid; do"
            ' echo "$pid $(sed "s/.*) //" /proc/$pid/stat | cut -d " " -f 20) $(tr "\\0" " " </proc/$pid/cmdline)";'
            " done",
            group,
            group,
        )
        rows = [line.split(" ", 2) for line in listing.splitlines()]
        found[unit] = {(pid, start, command) for pid, start, command in rows if not COMING_AND_GOING.match(command)}
        assert found[unit], f"{unit} has no process"
    return found


@pytest.fixture(scope="module")
def before(host: Host) -> dict[str, set[tuple[str, str, str]]]:
    return processes(host)


@pytest.mark.usefixtures("before")
def test_check_mode_predicts_no_change() -> None:
    output = play("--check", "--diff")
    assert re.search(r"\bchanged=0\b", output), output


def test_second_run_changes_nothing(host: Host, before: dict[str, set[tuple[str, str, str]]]) -> None:
    output = play("--diff")
    assert re.search(r"\bchanged=0\b", output), output
    assert processes(host) == before
