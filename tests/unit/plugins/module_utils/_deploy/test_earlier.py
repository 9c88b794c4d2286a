# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that an earlier version has set up, with one PM2 and one socket for all; what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from activation_host import EARLIER, GOOD, FakeSystemd, deploy, desiring, picture, processes, release, running
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import problem_of, read_health
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.earlier import (
    bring_over,
    is_earlier,
    stop,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError, Places
from ansible_collections.workbot.stability.plugins.module_utils._host.units import run_unit
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import declaration, render

OLD = Activation("old")
WATCHDOG = "shop-watchdog.service"
# Each link is made beside its name and renamed: PM2's home, the tools, two sockets, the active one, the one of before.
STEPS = 12


def shared_link(places: Places) -> Path:
    """What `active` was."""
    return places.directory / "active.sock"


def set_up_before(host: Context, program: str, name: str = "old", others: tuple[str, ...] = ()) -> Context:
    """That activation of release `old` serves, on one socket, as an earlier version would have left it."""
    places = host.places
    release(host, "old", program)
    places.activations.rmdir()
    app = declaration(host.desired.app_of(OLD, places), host.tools.environment)
    app["name"] = f"shop-{name}"
    app["env"]["PORT"] = str(places.run / f"{name}.sock")
    more = [{"name": other, "script": "x.js", "cwd": "/srv/x"} for other in others]
    file = places.directory / "config/ecosystem.config.cjs"
    file.write_text(render([app]))
    (places.directory / "config/environments").mkdir()
    (places.directory / "config/environments" / name).write_text(places.environment.read_text())
    run_unit("start", EARLIER, 5)
    file.write_text(render([app, *more]))
    (places.directory / "units" / EARLIER).write_text("[Service]\n")
    shared_link(places).symlink_to(places.run / f"{name}.sock")
    places.current.symlink_to(places.release("old"))
    return host


@pytest.fixture
def shared(host: Context, systemd: FakeSystemd) -> Context:
    systemd.states[WATCHDOG] = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
    return set_up_before(host, GOOD)


def brought_over(host: Context) -> None:
    bring_over(host.places, Path("/usr/bin"), 2)


def answers(host: Context, path: Path) -> bool:
    return problem_of(read_health(Request(url=host.health.path, unix_socket=str(path), timeout=2))) == ""


def names(host: Context) -> list[Path]:
    return [host.places.active / f"{number}.sock" for number in range(2)]


def test_it_is_told_from_any_other(host: Context) -> None:
    places = host.places
    assert not is_earlier(places)
    shared_link(places).symlink_to("/somewhere/else.sock")
    assert not is_earlier(places)
    shared_link(places).unlink()
    shared_link(places).symlink_to(places.run / "old+2.sock")
    assert is_earlier(places)
    brought_over(host)
    assert not is_earlier(places)
    assert read_active(places) == Activation("old", 2)


def test_one_with_a_socket_for_each_worker_is_given_the_directory_that_it_has_not(host: Context) -> None:
    """As it was between two versions: `active` led to links alone."""
    places = host.places
    links = places.directory / "sockets/old+2"
    links.mkdir(parents=True)
    for number in range(2):
        (links / f"{number}.sock").symlink_to(places.run / f"old+2@{number}.sock")
    places.active.symlink_to(links)
    assert is_earlier(places)
    brought_over(host)
    old = Activation("old", 2)
    assert places.active.readlink() == places.of(old)
    assert picture(host)["sockets"] == {f"old@2/{number}.sock": f"old+2@{number}.sock" for number in range(2)}
    assert (places.unit(old), is_earlier(places)) == (EARLIER, False)
    assert not shared_link(places).is_symlink()
    stop(places)
    assert not links.parent.exists()


def test_what_serves_is_given_a_directory_that_leads_to_what_it_has(shared: Context, systemd: FakeSystemd) -> None:
    before = picture(shared)
    systemd.told.clear()
    brought_over(shared)
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert after["tools"] == {
        "old/bin": Path("/usr/bin").resolve(),
        "old/pm2": shared.places.directory / "home/.pm2",
    }
    assert [after[what] for what in ("units", "processes")] == [before[what] for what in ("units", "processes")]
    assert shared.places.active.readlink() == shared.places.of(OLD)
    assert shared_link(shared.places).readlink() == shared.places.active / "0.sock"
    assert all(answers(shared, path) for path in (shared_link(shared.places), *names(shared)))
    assert shared.places.unit(OLD) == EARLIER
    assert systemd.told == [("disable", WATCHDOG), ("stop", WATCHDOG)]


def test_the_second_time_there_is_nothing_to_do(shared: Context, systemd: FakeSystemd) -> None:
    brought_over(shared)
    before = picture(shared)
    systemd.told.clear()
    brought_over(shared)
    assert picture(shared) == before
    assert systemd.told == []


def test_where_there_is_no_watchdog_none_is_ended(host: Context, systemd: FakeSystemd) -> None:
    set_up_before(host, GOOD)
    systemd.told.clear()
    brought_over(host)
    assert read_active(host.places) == OLD
    assert systemd.told == []


@pytest.mark.parametrize("state", ["nothing deployed", "set up by this version", "a link of somebody's own"])
def test_another_host_is_left_as_it_is(host: Context, systemd: FakeSystemd, state: str) -> None:
    if state == "set up by this version":
        release(host, "old", GOOD)
        deploy(host, "old")
    elif state == "a link of somebody's own":
        shared_link(host.places).symlink_to("/somewhere/else.sock")
    before = picture(host)
    systemd.told.clear()
    brought_over(host)
    assert picture(host) == before
    assert systemd.told == []


def test_apps_of_others_in_its_pm2_are_not_ended_with_it(host: Context, systemd: FakeSystemd) -> None:
    set_up_before(host, GOOD, others=("cronjob", "shopping"))
    release(host, "new", GOOD)
    before = picture(host)
    systemd.told.clear()
    with pytest.raises(ActivationError, match="has other apps besides the service: cronjob, shopping"):
        deploy(host, "new")
    assert picture(host) == before
    assert systemd.told == []


@contextmanager
def interrupted_after(steps: int) -> Iterator[None]:
    """Links can be made, and renamed, so many times; then the run is killed."""
    left = steps

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            return function(*arguments)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "symlink_to", counted(Path.symlink_to))
        patch.setattr(Path, "replace", counted(Path.replace))
        yield


@pytest.mark.parametrize("steps", range(STEPS))
def test_interrupted_after_any_step_it_serves_and_the_next_run_goes_on(shared: Context, steps: int) -> None:
    with interrupted_after(steps), pytest.raises(KeyboardInterrupt):
        brought_over(shared)
    assert answers(shared, shared_link(shared.places))
    if shared.places.active.is_symlink():
        assert all(answers(shared, path) for path in names(shared))
    brought_over(shared)
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert shared.places.unit(OLD) == EARLIER
    assert running(shared) == ["shop-old"]


def test_those_are_all_the_steps(shared: Context) -> None:
    with interrupted_after(STEPS):
        brought_over(shared)
    with interrupted_after(0):
        brought_over(shared)


def test_check_mode_brings_nothing_over(shared: Context) -> None:
    release(shared, "new", GOOD)
    before = picture(shared)
    outcome = deploy(shared, "new", check_mode=True)
    assert (outcome.changed, outcome.decision.activation) == (True, Activation("new"))
    assert picture(shared) == before


@pytest.mark.parametrize("order", ["new", "old", ""], ids=["another release", "the same one", "the one that is active"])
def test_with_the_next_activation_nothing_is_left_of_the_old_one(
    shared: Context, systemd: FakeSystemd, order: str
) -> None:
    release(shared, "new", GOOD)
    deploy(shared, order)
    name = "new" if order == "new" else "old@2"
    after = picture(shared)
    previous = {"previous": "old"} if order == "new" else {}
    assert after["links"] == {
        "active": name,
        "active.sock": "0.sock",
        "current": order or "old",
        **previous,
    }
    assert after["sockets"] == {f"{name}/{number}.sock": f"{name}@{number}.sock" for number in range(2)}
    assert shared_link(shared.places).readlink() == shared.places.active / "0.sock"
    assert all(answers(shared, path) for path in (shared_link(shared.places), *names(shared)))
    assert after["units"] == [f"shop@{name}.service"]
    assert systemd.verbs(EARLIER) == ["start", "stop"]
    assert [path for path in after["files"] if path.startswith(("run/shop/", "config", "home", "units"))] == [
        "config",
        "config/environment",
        "home",
        f"run/shop/{name}@0.sock",
        f"run/shop/{name}@1.sock",
        "units",
    ]
    assert [path.name for path in shared.places.activations.iterdir()] == [name]
    assert not deploy(shared, "").changed


def test_one_that_fails_leaves_the_old_one_serving_as_before(shared: Context, systemd: FakeSystemd) -> None:
    release(shared, "bad", "200 500")
    before = picture(shared)
    with pytest.raises(ActivationError, match="answered 500") as error:
        deploy(shared, "bad")
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert [after[what] for what in ("units", "processes")] == [before[what] for what in ("units", "processes")]
    assert set(after["files"]) - set(before["files"]) == {"activations", "activations/old"}
    assert set(before["files"]) <= set(after["files"])
    assert all(answers(shared, path) for path in (shared_link(shared.places), *names(shared)))
    assert "Not undone" not in str(error.value)
    assert "Release old is active as before and answers healthily" in str(error.value)
    assert "stop" not in systemd.verbs(EARLIER)
    release(shared, "new", GOOD)
    deploy(shared, "new")
    assert running(shared) == ["shop-new"]
    assert picture(shared)["sockets"].keys() == {"new/0.sock", "new/1.sock"}


@pytest.mark.parametrize("name", ["old", "old+2"])
@pytest.mark.parametrize("program", ["200", "500"])
def test_one_that_may_not_run_beside_it_takes_its_place_or_gives_it_back(
    host: Context, program: str, name: str
) -> None:
    single = desiring(host, overlap=False, app={**host.desired.app, "instances": 1})
    set_up_before(single, "200", name)
    release(single, "new", program)
    if program == "200":
        deploy(single, "new")
        assert picture(single)["links"]["active"] == "new"
        assert not list(single.places.run.glob("old*"))
    else:
        with pytest.raises(ActivationError, match="answered 500") as error:
            deploy(single, "new")
        assert "Not undone" not in str(error.value)
        assert "Release old is active as before and answers healthily" in str(error.value)
        assert picture(single)["links"]["active"] == name.replace("+", "@")
        assert [app for app, pid in processes(single) if pid] == [f"shop-{name}"]
    assert answers(single, shared_link(single.places))
    assert os.path.realpath(shared_link(single.places)).startswith(str(single.places.run))


def test_its_pm2_ends_with_all_that_was_of_it_alone(shared: Context, systemd: FakeSystemd) -> None:
    directory = shared.places.directory
    (directory / "home/.npm").mkdir()
    stop(shared.places)
    assert systemd.told[-2:] == [("stop", EARLIER), ("daemon-reload", "")]
    assert not (directory / "units" / EARLIER).exists()
    assert [path.name for path in (directory / "config").iterdir()] == ["environment"]
    assert [path.name for path in (directory / "home").iterdir()] == [".npm"]
    # what an interrupted run left of it
    stop(shared.places)
