# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an activation that is not active any more: nothing of it stays, and nothing of another one goes."""

from __future__ import annotations

import pytest
from activation_host import GOOD, FakeSystemd, picture, release, running
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import GateError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.links import make_directory
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import decide
from ansible_collections.workbot.stability.plugins.module_utils._deploy.teardown import drain, remove_activation, sweep
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError, run_unit

NEW = Activation("new")


@pytest.fixture
def beside(served: Context) -> Context:
    """Release `new` runs beside the active one, as a run that was killed leaves it."""
    release(served, "new", GOOD)
    make_directory(served, decide(served, "new", read_actual(served)), 0)
    run_unit("start", served.places.unit(NEW), 5)
    return served


def test_nothing_of_it_stays_and_the_active_one_goes_on(beside: Context) -> None:
    assert running(beside) == ["shop-new", "shop-old"]
    remove_activation(beside, NEW)
    assert running(beside) == ["shop-old"]
    assert [path.name for path in beside.places.activations.iterdir()] == ["old"]
    assert {path.name for path in beside.places.run.iterdir()} == {"old@0.sock", "old@1.sock"}
    assert not beside.places.pm2_home(NEW).exists()


def test_one_that_failed_is_forgotten(beside: Context, systemd: FakeSystemd) -> None:
    systemd.daemons.pop("shop@new.service").stop()
    systemd.states["shop@new.service"] = {"ActiveState": "failed"}
    remove_activation(beside, NEW)
    assert systemd.verbs("shop@new.service") == ["start", "reset-failed"]
    assert not beside.places.of(NEW).exists()


def test_one_that_does_not_stop_keeps_what_the_next_run_finds_it_by(beside: Context, systemd: FakeSystemd) -> None:
    systemd.refuses.add("stop")
    with pytest.raises(UnitError, match=r"systemctl stop shop@new\.service: it was refused"):
        remove_activation(beside, NEW)
    assert beside.places.of(NEW).is_dir()
    assert len(list(beside.places.run.glob("new@*"))) == 2


def test_a_sweep_takes_all_but_the_active_one(beside: Context) -> None:
    before = picture(beside)
    half = beside.places.of(Activation("old", 2))
    half.mkdir()
    (beside.places.directory / ".active.back").symlink_to(half)
    decision = decide(beside, "old", read_actual(beside))
    assert decision.leftovers == ("new", "old@2")
    sweep(beside, decision)
    after = picture(beside)
    assert running(beside) == ["shop-old"]
    assert [path.name for path in beside.places.activations.iterdir()] == ["old"]
    assert after["links"] == before["links"]


def test_what_is_half_removed_is_no_activation(served: Context) -> None:
    """A power cut in the middle of a removal leaves it."""
    trash = served.places.activations / ".removed-77-new"
    trash.mkdir()
    (trash / "environment").write_text("KEY=1\n")
    sweep(served, decide(served, "old", read_actual(served)))
    assert not trash.exists()


def test_a_drain_ends_when_nobody_is_left_or_at_its_limit() -> None:
    counts = iter([2, 1, 0, 0])
    assert drain(lambda: next(counts), 30)["left"] == 0
    assert drain(lambda: 3, 0.5)["left"] == 3


def test_a_drain_ends_at_the_first_look_at_which_one_is_missed() -> None:
    looks: list[str] = []

    def count() -> int:
        looks.append("count")
        return 3

    def glance() -> None:
        looks.append("glance")
        if len(looks) == 4:
            raise GateError("process 7 ended after it had been healthy")

    with pytest.raises(GateError, match="process 7"):
        drain(count, 30, glance=glance)
    assert looks == ["count", "glance"] * 2
