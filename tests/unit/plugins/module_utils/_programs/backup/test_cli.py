# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of the backups takes."""

from __future__ import annotations

import time

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.cli import parse


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25:00", "2026-11-29 14:00:00 --type=immediate"])
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["restore", "--time", text], "/etc/x.json")
    assert "is no date and time, such as 2026-11-29 14:00:00" in capsys.readouterr().err


def test_a_time_without_a_zone_is_the_hosts() -> None:
    wanted = parse(["restore", "--time", "2026-11-29 14:00:00"], "/etc/x.json").time
    assert time.localtime(wanted.timestamp())[:6] == (2026, 11, 29, 14, 0, 0)
    assert wanted.utcoffset() is not None
