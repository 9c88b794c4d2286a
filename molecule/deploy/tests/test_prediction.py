# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment and a rollback do what check mode said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments import AT_ONCE, VARIABLES, Service, release
from prediction import Record, differences, play, state, touched


def as_predicted(shop: Service, records: Path, name: str, **variables: Any) -> Record:
    """What the playbook changed, which is what it had said in check mode, when it had touched nothing."""
    before = state(shop.host)
    check = play(records, VARIABLES, "--check", variables=variables, name=name)
    assert touched(before, state(shop.host)) == []
    run = play(records, VARIABLES, variables=variables, name=name)
    assert differences(check, run) == []
    return run


def test_deployment_and_rollback_do_what_check_mode_said(shop: Service, tmp_path: Path) -> None:
    first = shop.settled()["current"]
    variables = {**AT_ONCE, "release_directory": release(tmp_path, "predicted")}
    assert as_predicted(shop, tmp_path, "deploy", **variables).changed
    assert shop.settled()["current"] != first
    assert as_predicted(shop, tmp_path, "rollback", **variables).changed
    assert shop.settled()["current"] == first
