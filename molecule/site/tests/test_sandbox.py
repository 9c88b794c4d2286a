# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What units of the service can't see or change, and that they do their work all the same."""

from __future__ import annotations

import json
from typing import Any

from waiting import until

WATCHDOG = "workbot-watchdog.service"
STATUS = "/run/workbot-watchdog/status.json"


def test_no_unit_sees_processes_of_others_or_changes_files_of_the_system(host: Any) -> None:
    listed = host.check_output("systemctl list-units --plain --no-legend --state=running 'workbot*.service'")
    units = [line.split()[0] for line in listed.splitlines()]
    assert WATCHDOG in units
    assert any(unit.startswith("workbot@") for unit in units)
    for unit in units:
        pid = host.check_output("systemctl show -P MainPID %s", unit)
        lines = [line.split() for line in host.file(f"/proc/{pid}/mountinfo").content_string.splitlines()]
        # of several mounts on one another the last one counts
        mounts = {fields[4]: fields for fields in lines}
        assert mounts["/"][5].startswith("ro"), unit
        assert "hidepid=invisible" in mounts["/proc"][-1].split(","), unit


def test_the_watchdog_s_own_diagnosis_finds_the_host_well(host: Any) -> None:
    def diagnosed() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(host.file(STATUS).content_string)["diagnosis"]
        return found

    before = diagnosed().get("ended")
    # settings that were written again are a reason for another look
    host.check_output("touch /srv/workbot/config/diagnose.json")
    until("it was diagnosed", lambda: diagnosed().get("ended") != before, 120)
    critical = [finding for finding in diagnosed()["raised"] if finding["status"] == "critical"]
    assert critical == []
    assert "adjtimex" in host.check_output("systemctl show -P SystemCallFilter %s", WATCHDOG).split()
