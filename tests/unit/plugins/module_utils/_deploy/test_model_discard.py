# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the directory of a release that was not taken into service, and which one check mode refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from activation_host import GOOD, deploy, picture, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import (
    build_lock_path,
    deploy_lock,
    lock_path,
)


def no_program(host: Context) -> None:
    release(host, "new", GOOD)
    (host.places.release("new") / "server.js").unlink()


def unreadable(host: Context) -> None:
    release(host, "new", GOOD)
    (host.places.release("new") / "server.js").chmod(0o600)


def for_another_node(host: Context) -> None:
    release(host, "new", GOOD)
    (host.places.release("new") / "package.json").write_text(json.dumps({"engines": {"node": ">=999"}}))


def broken_manifest(host: Context) -> None:
    release(host, "new", GOOD)
    (host.places.release("new") / "package.json").write_text("{")


def unhealthy(host: Context) -> None:
    release(host, "new", "500 500")


REFUSED: dict[str, tuple[Callable[[Context], None], str]] = {
    "no program": (no_program, "has no program server.js"),
    "unreadable": (unreadable, "server.js can't be read by the user"),
    "for another Node.js": (for_another_node, "needs Node.js >=999"),
    "broken package.json": (broken_manifest, "no valid JSON"),
}
FAILING = {**REFUSED, "unhealthy": (unhealthy, "answered 500")}


@pytest.fixture
def ready(served: Context, bin_directory: Path) -> Context:
    return replace(served, tools=replace(served.tools, node=str(bin_directory / "node")))


def message(host: Context, **order: Any) -> str:
    with pytest.raises((StabilityError, OSError)) as error:
        deploy(host, "new", **order)
    return str(error.value)


@pytest.mark.parametrize("name", FAILING)
def test_what_this_play_made_is_removed_whatever_the_reason(ready: Context, name: str) -> None:
    make, says = FAILING[name]
    before = picture(ready)
    make(ready)
    said = message(ready, discard_failed=True)
    assert says in said
    assert said.endswith(f"Its directory, {ready.places.release('new')}, was removed.")
    assert picture(ready) == before
    assert not ready.places.release("new").exists()


@pytest.mark.parametrize("name", FAILING)
def test_what_was_there_before_stays(ready: Context, name: str) -> None:
    make, says = FAILING[name]
    make(ready)
    said = message(ready)
    assert says in said
    assert "was removed" not in said
    assert ready.places.release("new").is_dir()


def test_what_a_link_names_stays(served: Context) -> None:
    release(served, "new", GOOD)
    deploy(served, "new")
    (served.places.release("old") / "server.js").write_text("500 500")
    with pytest.raises(ActivationError) as error:
        deploy(served, "old", discard_failed=True)
    assert "was removed" not in str(error.value)
    assert served.places.release("old").is_dir()


def test_nothing_is_removed_while_another_deployment_is_at_work(served: Context) -> None:
    release(served, "new", GOOD)
    with deploy_lock(lock_path(served.places.releases), "activation of release new", "bob"):
        with pytest.raises(ActivationError, match="activation of release new, begun by bob"):
            deploy(served, "new", discard_failed=True)
        (served.places.release("new") / "server.js").unlink()
        said = message(served, discard_failed=True)
    assert "was not removed: Another deployment is at work: activation of release new" in said
    assert served.places.release("new").is_dir()


def test_half_a_release_is_not_activated_while_it_is_being_built(served: Context) -> None:
    release(served, "new", GOOD)
    with deploy_lock(build_lock_path(served.places.releases), "release new", "bob"):
        with pytest.raises(ActivationError, match="release new is not whole, and a build is at work: release new"):
            deploy(served, "new")
        assert not deploy(served, "").changed, "what serves has nothing to do with it"
    assert deploy(served, "new").changed


def predict(host: Context, *, made: bool) -> Any:
    return deploy(host, "new", check_mode=True, discard_failed=made)


@pytest.mark.parametrize("made", [False, True], ids=["there before", "made by this play"])
@pytest.mark.parametrize("name", REFUSED)
def test_check_mode_refuses_what_the_run_would_refuse(ready: Context, name: str, made: bool) -> None:
    make, says = REFUSED[name]
    make(ready)
    before = picture(ready)
    with pytest.raises((StabilityError, OSError), match=says):
        predict(ready, made=made)
    assert picture(ready) == before
    assert ready.places.release("new").is_dir()
    assert says in message(ready)


def test_check_mode_refuses_a_release_that_is_not_there_unless_this_play_would_make_it(served: Context) -> None:
    with pytest.raises(ActivationError, match="release new is not on this host; these are: old"):
        predict(served, made=False)
    assert predict(served, made=True).decision.action == "activate"
