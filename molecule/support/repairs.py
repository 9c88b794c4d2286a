# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has drifted, as check mode says it and as a run repairs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drift_kinds import Drift, do, unwell
from prediction import differences, play, state, touched
from testinfra.host import Host


def assert_predicted_and_repaired(host: Host, drifts: Mapping[str, Drift], folder: Path, *options: str) -> None:
    """All at once: check mode says them and changes nothing, a run repairs them, the next one has nothing to do."""
    assert unwell(host, drifts) == []
    do(host, {what: drift.made for what, drift in drifts.items()})
    assert unwell(host, drifts) == list(drifts)
    before = state(host)
    check = play(folder, "--check", *options)
    assert touched(before, state(host)) == []
    assert [what for what, drift in drifts.items() if not drift.is_announced(check)] == []
    assert differences(check, play(folder, *options)) == []
    assert unwell(host, drifts) == []
    assert play(folder / "afterwards", *options).changed == []
