# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logs take on disk, and which disk the plan looks at."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.disk import LogPolicy, disk_part
from capacity_settings import capacity_settings
from hypothesis import given
from hypothesis import strategies as st

POLICIES = st.builds(
    LogPolicy,
    volume_mb=st.integers(1, 100_000),
    maxsize_mb=st.integers(1, 10_000),
    rotate=st.integers(0, 400),
    frequency=st.sampled_from(["hourly", "daily", "weekly", "monthly"]),
    hourly=st.booleans(),
    compress=st.booleans(),
    delay=st.booleans(),
)


@pytest.mark.parametrize(
    ("policy", "file_mb", "disk_mb"),
    [
        # by its time: a day's growth is less than the maximum size
        (LogPolicy(50, 100, 7), 50, 130),
        # by its size, which the hourly look finds
        (LogPolicy(2400, 100, 7), 100, 260),
        # more than the maximum size in an hour
        (LogPolicy(4800, 100, 7), 200, 520),
        # nobody looks during the day
        (LogPolicy(2400, 100, 7, hourly=False), 2400, 6240),
        (LogPolicy(240, 100, 10, compress=False), 100, 1100),
        (LogPolicy(240, 100, 10, delay=False), 100, 200),
        (LogPolicy(240, 100, 0), 100, 100),
        (LogPolicy(240, 1000, 4, frequency="hourly"), 10, 23),
        (LogPolicy(10, 1000, 4, frequency="weekly"), 70, 161),
    ],
)
def test_a_log_takes_its_rate_times_its_retention(policy: LogPolicy, file_mb: int, disk_mb: int) -> None:
    assert (policy.file_mb, policy.disk_mb) == (file_mb, disk_mb)


@given(POLICIES, st.integers(1, 1000))
def test_more_never_takes_less(policy: LogPolicy, more: int) -> None:
    assert dataclasses.replace(policy, volume_mb=policy.volume_mb + more).disk_mb >= policy.disk_mb
    assert dataclasses.replace(policy, rotate=policy.rotate + more).disk_mb >= policy.disk_mb
    assert dataclasses.replace(policy, compress=False).disk_mb >= policy.disk_mb


@pytest.mark.parametrize(
    ("directory", "said"), [("/srv/shop", "of 20480M on /srv"), ("/srvshop/a", "of 102400M on /"), ("/", "on /")]
)
def test_the_disk_is_that_of_the_services_directory(directory: str, said: str) -> None:
    part = disk_part(plan(Desired(2, 4096)), capacity_settings(service_directory=directory))
    assert part.rows[-1].arithmetic.endswith(said)


def test_a_reserve_that_the_whole_disk_does_not_have_is_to_blame_itself() -> None:
    reserved = capacity_settings(service_reserved_disk="900G", service_log_volume="1M")
    (problem,) = disk_part(plan(Desired(2, 4096)), reserved).contradictions
    assert problem.variable == "service_reserved_disk"
    assert "921600M reserved" in problem.message
    assert "of 20480M on /srv. Set service_reserved_disk to " in problem.message


BACKUPS = {"backup_directory": "/mnt/backup"}


HERE, ELSEWHERE = Desired(2, 4096), Desired(2, 4096, database_is_local=False)


def waiting(desired: Desired, **changes: t.Any) -> list[str]:
    """The rows of what may wait for the archive."""
    rows = disk_part(plan(desired), capacity_settings(**changes)).rows
    return [row.value for row in rows if row.name == "changes for the archive"]


def test_changes_that_wait_for_the_archive_have_their_place_where_there_are_backups() -> None:
    assert waiting(HERE, **BACKUPS) == ["4096M"]
    assert waiting(HERE, backup_s3_bucket="shop", backup_wal_limit="2G") == ["2048M"]
    assert waiting(HERE) == []
    assert waiting(HERE, **BACKUPS, backup_removed=True) == []
    # then the server keeps all, until the disk is full
    assert waiting(HERE, **BACKUPS, backup_wal_limit="0") == []
    assert waiting(ELSEWHERE, **BACKUPS) == []


def test_what_may_wait_may_be_too_much() -> None:
    (problem,) = disk_part(plan(HERE), capacity_settings(**BACKUPS, backup_wal_limit="30G")).contradictions
    assert problem.variable == "backup_wal_limit"
    advised = re.search(r"Set backup_wal_limit to (\d+M)", problem.message)
    assert advised, problem.message
    assert disk_part(plan(HERE), capacity_settings(**BACKUPS, backup_wal_limit=advised[1])).contradictions == []


def test_a_host_that_tells_no_disk_is_not_judged() -> None:
    settings = dataclasses.replace(capacity_settings(service_reserved_disk="9000G"), mounts=())
    part = disk_part(plan(Desired(2, 4096)), settings)
    assert part.contradictions == []
    assert "do not say of how much" in part.rows[-1].arithmetic


def test_estimates_of_the_plan_alone_stop_nobody() -> None:
    mounts = [{"mount": "/", "size_total": 4 * 1024**3}]
    settings = dataclasses.replace(capacity_settings(), chosen_by_user=frozenset(), mounts=mounts)
    part = disk_part(plan(Desired(2, 4096)), settings)
    assert part.contradictions == []
    assert "the disk may be too small" in part.notes[0]
