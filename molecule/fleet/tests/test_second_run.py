# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook on a fleet that is as it should be: it says that nothing changed, and nothing did."""

from __future__ import annotations

from fleet import ALL, running, site


def test_second_run_changes_nothing_on_any_host() -> None:
    before = running()
    assert site("--diff") == dict.fromkeys(ALL, 0)
    assert running() == before
