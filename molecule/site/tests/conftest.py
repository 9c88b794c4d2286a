# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that the tests look at, as its administrator: over SSH, with sudo.

`molecule verify -s site` runs the tests, and so does `pytest molecule/site/tests` while the host is there. A test that
fails shows what the host said last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

Processes = dict[str, set[tuple[str, str, str]]]

ROOT = Path(__file__).resolve().parents[3]
HOSTS = ROOT / ".cache" / "hosts"
HOST = "workbot-test"
# What the host is like right after the playbook, and only then: first. What changes it most: last.
FIRST, LAST = "test_second_run", "test_reboot"
# Of these services every process but the short-lived helpers must stay: masters, daemons and workers.
UNITS = ("nginx.service", "pm2-workbot.service", "system-postgresql.slice", "cron.service")
# PostgreSQL starts a backend for each connection and these workers when it likes.
COMING_AND_GOING = re.compile(r"postgres: (?!.*(checkpointer|background writer|walwriter|launcher))")


def pytest_configure(config: pytest.Config) -> None:
    """Without options of their own, the tests go to the host of molecule/default."""
    config.option.hosts = f"ssh://{HOST}"
    config.option.ssh_config = str(HOSTS / "ssh_config")
    config.option.sudo = True
    config.option.connection = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {FIRST: 0, LAST: 2}
    items.sort(key=lambda item: order.get(item.path.stem, 1))


@pytest.fixture(scope="session")
def address() -> str:
    """Where this machine reaches the Nginx of the host."""
    return (HOSTS / f"{HOST}.address").read_text(encoding="utf-8").strip()


def processes(host: Host) -> Processes:
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
        rows = {tuple(line.split(" ", 2)) for line in listing.splitlines()}
        # cron's other processes are the jobs that are running
        main = host.service("cron").systemd_properties["MainPID"] if unit == "cron.service" else None
        found[unit] = {
            (pid, start, command)
            for pid, start, command in rows
            if main in (None, pid) and not COMING_AND_GOING.match(command)
        }
        assert found[unit], f"{unit} has no process"
    return found


@pytest.fixture(scope="module")
def service_processes(host: Host) -> Callable[[], Processes]:
    """Looks at what runs for the service at that moment."""
    return lambda: processes(host)


@pytest.fixture(scope="module")
def pm2_processes(host: Host) -> Callable[[], list[dict[str, Any]]]:
    """What PM2 runs at that moment. The command never starts a PM2 daemon: without one it fails."""

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(host.check_output("workbot-pm2 jlist").splitlines()[-1])
        return found

    return listed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed and "host" in item.fixturenames:
        journal = item.funcargs["host"].run("journalctl --no-pager --quiet --lines=40 --priority=info")
        report.sections.append((f"journal of {HOST}", journal.stdout))
    return report
