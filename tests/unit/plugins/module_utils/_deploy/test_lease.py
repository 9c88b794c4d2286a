# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy import lease as lease_module
from ansible_collections.workbot.stability.plugins.module_utils._deploy.lease import (
    Lease,
    LeaseError,
    drop,
    lease_path,
    read,
    releases_of,
    take,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, Places
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import (
    deploy_lock,
    lock_holder,
    lock_path,
)


def lease(run: str, began: float = 1000, who: str = "alice@laptop") -> Lease:
    return Lease(run, "a deployment", who, began, began + 600)


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lease_module, "_LOCK", tmp_path / "lock")
    directory = tmp_path / "releases"
    directory.mkdir()
    return directory


def test_the_second_run_is_told_whose_the_host_is(releases: Path) -> None:
    take(releases, lease("first"), take_over=False)
    with pytest.raises(LeaseError, match=r"a deployment by alice@laptop[\s\S]*ends in 5 min[\s\S]*deploy_take_over"):
        take(releases, lease("second", 1300), take_over=False)
    assert read(lease_path(releases)) == lease("first")


def test_a_run_renews_its_own_lease(releases: Path) -> None:
    take(releases, lease("first"), take_over=False)
    take(releases, lease("first", 1500), take_over=False)
    assert read(lease_path(releases)) == lease("first", 1500)


@pytest.mark.parametrize(("began", "take_over"), [(1600, False), (1001, True)])
def test_a_lease_that_is_over_or_is_taken_over_is_no_obstacle(releases: Path, began: float, take_over: bool) -> None:
    take(releases, lease("first"), take_over=False)
    take(releases, lease("second", began), take_over=take_over)
    assert read(lease_path(releases)) == lease("second", began)


def test_a_run_ends_its_own_lease_alone(releases: Path) -> None:
    take(releases, lease("first"), take_over=False)
    assert not drop(releases, "second")
    assert read(lease_path(releases))
    assert drop(releases, "first")
    assert read(lease_path(releases)) is None


def test_check_mode_refuses_the_same_and_leaves_nothing(releases: Path) -> None:
    take(releases, lease("first"), take_over=False, check_mode=True)
    assert read(lease_path(releases)) is None
    take(releases, lease("first"), take_over=False)
    with pytest.raises(LeaseError, match="alice"):
        take(releases, lease("second", 1001), take_over=False, check_mode=True)


def test_a_deployment_at_work_is_in_the_way(releases: Path) -> None:
    assert lock_holder(lock_path(releases)) == ""
    with (
        deploy_lock(lock_path(releases), "release a", "bob@ci"),
        pytest.raises(LeaseError, match="release a, begun by bob@ci"),
    ):
        take(releases, lease("first"), take_over=True)
    assert lock_holder(lock_path(releases)) == ""
    take(releases, lease("first"), take_over=False)


def test_nobody_who_can_read_the_releases_holds_a_run_up(releases: Path) -> None:
    held = [os.open(place, os.O_RDONLY | os.O_DIRECTORY) for place in (releases, releases.parent)]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    began = time.monotonic()
    take(releases, lease("first"), take_over=False)
    assert drop(releases, "first")
    assert time.monotonic() - began < 5
    for descriptor in held:
        os.close(descriptor)
    assert (releases.parent / "lock").stat().st_mode & 0o777 == 0o600


def test_who_asks_whether_a_deployment_is_at_work_keeps_none_out(releases: Path) -> None:
    path = lock_path(releases)
    path.touch(0o600)
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(0.2, os.close, [asking]).start()
    with deploy_lock(path, "release a", "alice"):
        assert "release a" in lock_holder(path)


def test_a_host_without_the_service_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(LeaseError, match=r"not set up[\s\S]*site.yml"):
        take(tmp_path / "releases", lease("first"), take_over=False)
    assert not drop(tmp_path / "releases", "first")


def test_a_damaged_lease_is_none(releases: Path) -> None:
    for content in ("", "[]", '{"run": "first"}', "\x00"):
        lease_path(releases).write_text(content)
        assert read(lease_path(releases)) is None
        take(releases, lease("second"), take_over=False)


def test_what_the_host_has(releases: Path) -> None:
    (releases / "a").mkdir()
    (releases / "b").mkdir()
    places = Places.below(releases.parent)
    assert releases_of(places) == {"active": "", "activation": "", "previous": "", "releases": ["a", "b"]}
    places.active.symlink_to(places.of(Activation("b", 2)))
    places.previous.symlink_to(releases / "a")
    assert releases_of(places) == {"active": "b", "activation": "b@2", "previous": "a", "releases": ["a", "b"]}


def test_killed_between_its_switch_and_the_links_a_run_has_replaced_what_was_active(releases: Path) -> None:
    places = Places.below(releases.parent)
    places.previous.symlink_to(releases / "a")
    places.current.symlink_to(releases / "b")
    assert releases_of(places)["previous"] == "a"
    places.active.symlink_to(places.of(Activation("c")))
    assert releases_of(places)["previous"] == "b"
