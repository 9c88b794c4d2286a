# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that the tests look at, as its administrator: over SSH, with sudo.

`molecule verify -s site` runs the tests, and so does `pytest molecule/site/tests` while the host is there. A test that
fails shows what the host said last.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HOSTS = ROOT / ".cache" / "hosts"
HOST = "workbot-test"
# What the host is like right after the playbook, and only then: first. What changes it most: last.
FIRST, LAST = "test_second_run", "test_reboot"


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed and "host" in item.fixturenames:
        journal = item.funcargs["host"].run("journalctl --no-pager --quiet --lines=40 --priority=info")
        report.sections.append((f"journal of {HOST}", journal.stdout))
    return report
