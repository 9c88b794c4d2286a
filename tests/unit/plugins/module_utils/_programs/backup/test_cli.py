# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of the backups takes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastDrill
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import state as state_module
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.cli import Commands, parse
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.state import State
from backup_repository import settings_below


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25:00", "2026-11-29 14:00:00 --type=immediate"])
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["restore", "--time", text], "/etc/x.json")
    assert "is no date and time, such as 2026-11-29 14:00:00" in capsys.readouterr().err


def test_a_time_without_a_zone_is_the_hosts() -> None:
    wanted = parse(["restore", "--time", "2026-11-29 14:00:00"], "/etc/x.json").time
    assert time.localtime(wanted.timestamp())[:6] == (2026, 11, 29, 14, 0, 0)
    assert wanted.utcoffset() is not None


def test_only_a_new_proof_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replacement ends a drill that a person waits for, and clears its traces."""
    settings = settings_below(tmp_path)
    state = State(settings)
    state.keep(LastDrill(1000.0, "20270114F", 12.0))
    is_ended = True

    def run_unit(_verb: str, name: str) -> None:
        state.take("drill")
        if is_ended:
            state.keep(dataclasses.replace(state.record.drill, begun=0.0))
            raise UnitError(f"Job for {name} canceled.")
        state.keep(LastDrill(2000.0, "20270115F", 12.0))

    monkeypatch.setattr(cli, "run_unit", run_unit)
    monkeypatch.setattr(cli, "runs", lambda _unit: is_ended)
    monkeypatch.setattr(state_module, "as_owner", contextlib.nullcontext)
    commands = Commands(settings, parse(["drill"], "/etc/x.json"))
    with pytest.raises(StabilityError, match="was ended before it had found out"):
        commands.drill()
    is_ended = False
    assert commands.drill() == os.EX_OK
    said = capsys.readouterr()
    assert "Backup 20270115F and all changes" in said.out
    begun = "postgresql-backup-drill.service makes a drill. Waiting for"
    look = "systemctl status postgresql-backup-drill.service"
    assert said.err.splitlines() == [
        f"{begun} the end of the one that runs already, and then for its own: {look}",
        f"{begun} its end: {look}",
    ]
