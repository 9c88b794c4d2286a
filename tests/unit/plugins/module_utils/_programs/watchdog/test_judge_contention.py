# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lock or a full server, as each probe finds it, excuses of what is wrong with the service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import WorkersReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.contention import Contention
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    Condition,
)
from watch_samples import ALL_HANG, HANGS, service


def unhealthy(**changes: Any) -> Condition:
    """The condition of a service for which something may be done."""
    condition, inhibition = service(**changes)
    assert condition is not None
    assert inhibition is None
    return condition


LOCKED = Contention("process 5 of postgres (psql) holds a lock", "warning", elsewhere=True)


def test_a_service_that_waits_for_another_session_s_lock_is_left_alone_for_some_minutes() -> None:
    for changes in ({"answers": WorkersReading({100: "database"})}, ALL_HANG):
        inhibition = service(**changes, contention=LOCKED)[1]
        assert inhibition is not None
        assert (inhibition.code, inhibition.severity, inhibition.expires_after) == ("database_locked", "critical", 300)
        assert inhibition.message.endswith("process 5 of postgres (psql) holds a lock")


def test_a_lock_excuses_neither_a_worker_that_hangs_beside_a_healthy_one_nor_one_that_a_signal_has_stopped() -> None:
    assert unhealthy(**HANGS, contention=LOCKED).code == "worker_hung"
    assert unhealthy(**ALL_HANG, stopped=frozenset({100, 101}), contention=LOCKED).certain


def test_a_lock_that_the_service_s_own_sessions_hold_excuses_nothing() -> None:
    own = replace(LOCKED, elsewhere=False)
    assert unhealthy(answers=WorkersReading({100: "database", 101: "database"}), contention=own).code == "unhealthy"


def test_a_server_that_each_probe_finds_full_is_as_good_a_reason_as_the_diagnosis() -> None:
    answers = WorkersReading({100: "database", 101: "database"})
    inhibition = service(answers=answers, contention=Contention(full="97 by cron"))[1]
    assert inhibition is not None
    assert (inhibition.code, inhibition.message) == (
        "database_full",
        "the database has no connection for it: 97 by cron",
    )
