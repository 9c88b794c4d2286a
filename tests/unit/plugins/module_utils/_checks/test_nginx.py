# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nginx's processes, read and judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._checks.nginx import (
    NginxReading,
    judge_nginx,
    read_nginx,
)


@pytest.mark.parametrize(
    ("reading", "hours", "expected"),
    [
        (NginxReading(1, False, 2), 0.0, [OK]),
        (NginxReading(None), 0.0, [CRITICAL]),
        (NginxReading(1, True, 2), 0.0, [CRITICAL]),
        (NginxReading(1, False, 0, (7,)), 0.0, [CRITICAL]),
        (NginxReading(1, False, 2, (7, 8)), 1.0, [OK, OK]),
        (NginxReading(1, False, 2, (7, 8)), 4.0, [OK, WARNING]),
    ],
)
def test_processes_of_nginx_are_judged(reading: NginxReading, hours: float, expected: list[str]) -> None:
    assert [finding.status for finding in judge_nginx(reading, hours)] == expected


@pytest.mark.parametrize("content", ["", "x", "1", "99999999"])
def test_a_pid_file_of_something_else_is_no_nginx(content: str, tmp_path: Path) -> None:
    path = tmp_path / "nginx.pid"
    path.write_text(content)
    assert read_nginx(path) == NginxReading(None)
