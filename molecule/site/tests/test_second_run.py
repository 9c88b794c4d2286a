# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook on a host that is as it should be: it says that nothing changed, and nothing did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prediction import play, state, touched
from testinfra.host import Host

Processes = dict[str, set[tuple[str, str, str]]]


def test_check_mode_predicts_no_change_and_makes_none(host: Host, tmp_path: Path) -> None:
    before = state(host)
    assert play(tmp_path, "--check").changed == []
    assert touched(before, state(host)) == []


def test_second_run_changes_nothing(host: Host, tmp_path: Path, service_processes: Callable[[], Processes]) -> None:
    before, running = state(host), service_processes()
    assert play(tmp_path).changed == []
    assert touched(before, state(host)) == []
    assert service_processes() == running
