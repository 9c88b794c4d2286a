# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment excuses, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import HUNG, DaemonReading
from watch_samples import ALL_HANG, HANGS, STOPPED, service, worker


def test_a_deployment_under_way_inhibits_nothing_of_the_workers() -> None:
    assert service(**ALL_HANG, deployment=True)[1] is None


@pytest.mark.parametrize(
    ("changes", "soon"),
    [(ALL_HANG, True), (HANGS, False), ({**ALL_HANG, "pm2_unit": STOPPED}, False)],
    ids=["nobody is served", "others serve", "the deployment itself has stopped it"],
)
def test_what_is_held_back_from_while_nobody_is_served_is_reported_soon(changes: dict[str, Any], soon: bool) -> None:
    _condition, inhibition = service(**changes, changing=True)
    assert inhibition is not None
    assert (inhibition.reported_after <= 20) is soon


def test_a_hung_daemon_is_left_to_a_deployment_which_starts_another_one() -> None:
    _condition, inhibition = service(daemon=DaemonReading(HUNG, "no answer", 50), workers=(), deployment=True)
    assert inhibition is not None
    assert (inhibition.code, inhibition.reported_after <= 20) == ("deployment", True)


def test_no_new_worker_is_reloaded_while_a_deployment_looks_at_it() -> None:
    assert service(workers=(worker(0, mb=950), worker(1)), deployment=True) == (None, None)
