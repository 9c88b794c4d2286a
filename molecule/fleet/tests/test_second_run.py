# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook on a fleet that is as it should be: it says that nothing changed, and nothing did."""

from __future__ import annotations

from pathlib import Path

from fleet import ALL, DATABASE, PROXIES, drift, running, site
from hosts import host_of


def test_second_run_changes_nothing_on_any_host() -> None:
    before = running()
    assert site("--diff") == dict.fromkeys(ALL, 0)
    assert running() == before


def test_the_hosts_that_differ_are_told_apart(tmp_path: Path) -> None:
    changes = {PROXIES[0]: "/etc/nginx/conf.d/workbot.conf", DATABASE: "/etc/postgresql/*/main/pg_hba.conf"}
    for name, path in changes.items():
        host_of(name).check_output(f"chmod 0604 {path}")
    said = drift(tmp_path)
    assert {name for name, one in said.items() if one["state"] == "differs"} == set(changes)
    assert [one["role"] for name in changes for one in said[name]["differences"]] == ["nginx", "postgresql"]
    assert {name: changed > 0 for name, changed in site().items()} == {name: name in changes for name in ALL}
    assert {name: one["state"] for name, one in drift(tmp_path).items()} == dict.fromkeys(ALL, "as declared")
