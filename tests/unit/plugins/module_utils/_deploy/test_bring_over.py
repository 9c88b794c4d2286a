# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that an earlier version has set up, where all workers share one socket, and what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from activation_host import GOOD, deploy, desiring, picture, release
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import problem_of, read_health
from ansible_collections.workbot.stability.plugins.module_utils._deploy import links
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.links import bring_over
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._host.units import State
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import declaration, render

OLD = Activation("old")
# Each link is made beside its name and renamed: two workers' sockets, the active one, and the one of before.
STEPS = 8


def set_up_before(host: Context, program: str) -> Context:
    """Release `old` serves, on one socket, as an earlier version would have left it."""
    places, client = host.places, host.client
    places.sockets.rmdir()
    release(host, "old", program)
    app = declaration(host.desired.app_of(OLD, places), client.environment)
    app["env"]["PORT"] = str(places.run / "old.sock")
    places.config_file.write_text(render([app]))
    places.snapshot(OLD).write_text(places.environment.read_text())
    client.as_user(["pm2", "start", str(places.config_file), "--only", app["name"]], 5)
    client.run("save")
    places.shared_socket.symlink_to(places.run / "old.sock")
    places.current.symlink_to(places.release("old"))
    return host


@pytest.fixture
def shared(host: Context) -> Context:
    return set_up_before(host, GOOD)


def answers(host: Context, path: Path) -> bool:
    return problem_of(read_health(Request(url=host.health.path, unix_socket=str(path), timeout=2))) == ""


def names(host: Context, of: str = "active") -> list[Path]:
    return [host.places.releases.parent / of / f"{number}.sock" for number in range(2)]


RUNNING = State(loaded=True, active=True, enabled=True)


@pytest.fixture(autouse=True)
def watchdog(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What systemd is told of a watchdog that runs."""
    told: list[tuple[str, str, str]] = []
    monkeypatch.setattr(links, "states", lambda names: dict.fromkeys(names, RUNNING))
    monkeypatch.setattr(links, "do", lambda step: told.append((step.enabling, step.verb, step.unit.name)))
    return told


def test_the_first_time_it_is_given_links_that_lead_to_what_it_has(
    shared: Context, watchdog: list[tuple[str, str, str]]
) -> None:
    before = picture(shared)
    assert bring_over(shared.places, 2)
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert [after[what] for what in ("config", "processes")] == [before[what] for what in ("config", "processes")]
    assert shared.places.active.readlink() == shared.places.links(OLD)
    assert shared.places.shared_socket.readlink() == shared.places.active / "0.sock"
    assert all(answers(shared, path) for path in (shared.places.shared_socket, *names(shared)))
    assert watchdog == [("disable", "stop", "shop-watchdog.service")]


def test_the_second_time_there_is_nothing_to_do(shared: Context, watchdog: list[tuple[str, str, str]]) -> None:
    bring_over(shared.places, 2)
    before = picture(shared)
    assert not bring_over(shared.places, 2)
    assert picture(shared) == before
    assert len(watchdog) == 1


def test_where_there_is_no_watchdog_none_is_ended(
    shared: Context, watchdog: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "states", lambda names: dict.fromkeys(names, State()))
    assert bring_over(shared.places, 2)
    assert watchdog == []


@pytest.mark.parametrize("state", ["nothing deployed", "set up by this version", "a link of somebody's own"])
def test_another_host_is_left_as_it_is(host: Context, watchdog: list[tuple[str, str, str]], state: str) -> None:
    if state == "set up by this version":
        release(host, "old", GOOD)
        deploy(host, "old")
    elif state == "a link of somebody's own":
        host.places.shared_socket.symlink_to("/somewhere/else.sock")
    before = picture(host)
    assert not bring_over(host.places, 2)
    assert picture(host) == before
    assert watchdog == []


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
def test_interrupted_after_any_step_it_serves_and_the_next_run_goes_on(
    shared: Context, watchdog: list[tuple[str, str, str]], steps: int
) -> None:
    with interrupted_after(steps), pytest.raises(KeyboardInterrupt):
        bring_over(shared.places, 2)
    assert read_active(shared.places) == OLD
    assert answers(shared, shared.places.shared_socket)
    if shared.places.active.is_symlink():
        assert all(answers(shared, path) for path in names(shared))
    assert bring_over(shared.places, 2)
    assert not bring_over(shared.places, 2)
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert len(watchdog) == 2


def test_those_are_all_the_steps(shared: Context) -> None:
    with interrupted_after(STEPS):
        assert bring_over(shared.places, 2)


def test_it_is_still_the_active_one_before_anything_is_brought_over(shared: Context) -> None:
    before = picture(shared)
    assert read_active(shared.places) == OLD
    outcome = deploy(shared, "", check_mode=True)
    assert (outcome.changed, outcome.decision.activation) == (True, Activation("old", 2))
    assert picture(shared) == before


@pytest.mark.parametrize("order", ["new", ""], ids=["another release", "the same one"])
def test_the_next_activation_has_sockets_of_its_own_and_nothing_is_left_of_the_old_one(
    shared: Context, order: str
) -> None:
    release(shared, "new", GOOD)
    deploy(shared, order)
    name = order or "old+2"
    after = picture(shared)
    previous = {"previous": "old"} if order else {}
    assert after["links"] == {"active": name, "active.sock": "0.sock", "current": order or "old", **previous}
    assert after["sockets"] == {f"{name}/{number}.sock": f"{name}@{number}.sock" for number in range(2)}
    assert shared.places.shared_socket.readlink() == shared.places.active / "0.sock"
    assert all(answers(shared, path) for path in (shared.places.shared_socket, *names(shared)))
    assert [process for process, _pid in after["processes"]] == [f"shop-{name}"] * 2
    assert [path for path in after["files"] if path.startswith(("run/", "sockets/", "config/environments/"))] == [
        f"config/environments/{name}",
        f"run/{name}@0.sock",
        f"run/{name}@1.sock",
        f"sockets/{name}",
    ]
    assert not deploy(shared, "").changed


def test_one_that_fails_leaves_the_old_one_serving_as_before(shared: Context) -> None:
    release(shared, "bad", "200 500")
    before = picture(shared)
    with pytest.raises(ActivationError, match="answered 500") as error:
        deploy(shared, "bad")
    after = picture(shared)
    assert after["links"] == {"active": "old", "active.sock": "0.sock", "current": "old"}
    assert after["sockets"] == {"old/0.sock": "old.sock", "old/1.sock": "old.sock"}
    assert [after[what] for what in ("config", "processes")] == [before[what] for what in ("config", "processes")]
    assert set(after["files"]) - set(before["files"]) == {"sockets", "sockets/old"}
    assert set(before["files"]) <= set(after["files"])
    assert all(answers(shared, path) for path in (shared.places.shared_socket, *names(shared)))
    assert "Not undone" not in str(error.value)
    assert "Release old is active as before and answers healthily" in str(error.value)
    release(shared, "new", GOOD)
    deploy(shared, "new")
    assert {process for process, _pid in picture(shared)["processes"]} == {"shop-new"}
    assert picture(shared)["sockets"].keys() == {"new/0.sock", "new/1.sock"}


@pytest.mark.parametrize("program", ["200", "500"])
def test_one_that_may_not_run_beside_it_takes_its_place_or_gives_it_back(host: Context, program: str) -> None:
    single = desiring(host, overlap=False, app={**host.desired.app, "instances": 1})
    set_up_before(single, "200")
    release(single, "new", program)
    if program == "200":
        deploy(single, "new")
        assert picture(single)["links"]["active"] == "new"
        assert not (single.places.run / "old.sock").exists()
    else:
        with pytest.raises(ActivationError, match="answered 500") as error:
            deploy(single, "new")
        assert "Not undone" not in str(error.value)
        assert "Release old is active as before and answers healthily" in str(error.value)
        assert picture(single)["links"]["active"] == "old"
    assert answers(single, single.places.shared_socket)
    assert os.path.realpath(single.places.shared_socket).startswith(str(single.places.run))
