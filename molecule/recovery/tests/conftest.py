# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault meets a service that is well, and a watchdog with its whole budget; none is left for the next one."""

from __future__ import annotations

import time

import pytest
from recovery import CALM, Watch
from recovery_table import tables


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What CI shows of each fault: its last course on this checkout."""
    terminalreporter.section("faults and how they ended")
    terminalreporter.write_line("\n".join(tables()))


@pytest.fixture
def began(watch: Watch) -> float:
    """When the fault begins; by then all is well."""
    watch.until_well(time.time() - CALM - 1)
    return time.time()
