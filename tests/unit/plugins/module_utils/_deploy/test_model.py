# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, apps and decisions: from what is desired and what is there to what is to be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import (
    Activation,
    ActivationError,
    Desired,
    Places,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import (
    Decision,
    decide,
    desired_release,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import declaration, render
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from hypothesis import given
from hypothesis import strategies as st

BASE = Path("/srv/shop")
PLACES = Places.below(BASE)
APP = {"script": "server.js", "exec_mode": "cluster", "instances": 2, "node_args": ["--max-old-space-size=64"]}
DESIRED = Desired({**APP, "env": {"NODE_ENV": "production"}}, "a")
CLEAN = {"HOME": "/srv/shop/home", "LANG": "C.UTF-8", "PATH": "/usr/bin"}
STARTED = 1000.0


def live(activation: Activation, number: int = 0, desired: Desired = DESIRED, **changes: Any) -> Pm2Process:
    """A process as PM2 would report it for that activation."""
    app = declaration(desired.app_of(activation, PLACES), CLEAN)
    settings = {
        "pm_exec_path": f"{app['cwd']}/{app['script']}",
        "pm_cwd": app["cwd"],
        "exec_mode": "cluster_mode",
        "node_args": app["node_args"],
        "filter_env": [""],
        "env": app["env"],
        "status": changes.get("status", "online"),
    }
    return Pm2Process(app["name"], number, 100 + number, settings["status"], 0, STARTED, settings=settings)


def running(activation: Activation, **changes: Any) -> Actual:
    """A host on which that activation, and nothing else, serves."""
    app = declaration(DESIRED.app_of(activation, PLACES), CLEAN)
    state = Actual(
        active=activation,
        current=activation.release,
        config=render([app]),
        apps=(app,),
        live=(live(activation, 0), live(activation, 1)),
        releases=("a", "b"),
        sockets=tuple(PLACES.socket(activation, number) for number in range(2)),
        links=(activation.name,),
        snapshots=(activation.name,),
        active_environment={"KEY": "1"},
        environment={"KEY": "1"},
    )
    return replace(state, **changes)


def decided(state: Actual, desired: Desired = DESIRED) -> Decision:
    return decide(desired, desired.release, PLACES, state, CLEAN)


A, A2, B = Activation("a"), Activation("a", 2), Activation("b")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", fullmatch=True), st.integers(1, 10**6))
def test_a_name_says_release_and_number(release: str, number: int) -> None:
    activation = Activation(release, number)
    assert Activation.parse(activation.name) == activation
    assert PLACES.activation_of(PLACES.app_name(activation)) == activation


@pytest.mark.parametrize("name", ["", "+2", "a+", "a+b", "a+2+3"])
def test_what_is_no_name_of_an_activation(name: str) -> None:
    assert Activation.parse(name) is None


def test_each_activation_has_an_app_a_socket_and_an_environment_of_its_own() -> None:
    app = replace(DESIRED, loader="loader.mjs").app_of(A2, PLACES)
    assert app["name"] == "shop-a+2"
    assert app["cwd"] == "/srv/shop/releases/a"
    assert app["env"] == {"NODE_ENV": "production", "PORT": "/run/shop/a+2@0.sock"}
    assert app["node_args"] == [
        "--env-file=/srv/shop/config/environments/a+2",
        "--max-old-space-size=64",
        "--import",
        "file:///srv/shop/releases/a/loader.mjs",
    ]


def test_a_program_that_knows_only_ports_is_told_its_port_and_the_preload_the_socket() -> None:
    env = replace(DESIRED, listen_port=3000).app_of(A, PLACES)["env"]
    assert (env["PORT"], env["LISTEN_SOCKET"]) == ("3000", "/run/shop/a@0.sock")


def test_a_socket_path_too_long_for_linux_is_refused() -> None:
    with pytest.raises(ActivationError, match="too long"):
        DESIRED.app_of(Activation("a" * 100), PLACES)


def test_the_longest_path_of_a_socket_leaves_room_for_what_workers_bind() -> None:
    """A number of three digits, and a process id in the place of `sock`."""
    longest = Activation("a" * 85)
    assert DESIRED.app_of(longest, PLACES)["env"]["PORT"] == str(PLACES.socket(longest))
    assert len(str(PLACES.socket(longest, 999).with_suffix(".4194304"))) == 107
    with pytest.raises(ActivationError, match="it can have 102 bytes"):
        DESIRED.app_of(Activation("a" * 86), PLACES)


def test_nothing_differs() -> None:
    decision = decided(running(A))
    assert decision.action == "none"
    assert not decision.changes(running(A))


@pytest.mark.parametrize(
    ("state", "action", "activation", "reason"),
    [
        (Actual(releases=("a",)), "activate", A, "release none -> a"),
        (running(B), "activate", A, "release b -> a"),
        (running(A, environment={"KEY": "2", "NEW": "x"}), "activate", A2, "environment file: KEY, NEW changed"),
        (running(A2, environment={}), "activate", Activation("a", 3), "environment file: KEY changed"),
        (running(A, active_environment=None), "activate", A2, "no environment file of its own"),
        (running(A, preloaded_at=STARTED + 1), "activate", A2, "newer than the process"),
        (running(A, pending=("the environment file would change",)), "activate", A2, "would change"),
        (running(A, live=()), "activate", A2, "not running"),
        (running(A, live=(live(A, 0),)), "activate", A2, "instances: 1 -> 2"),
        (running(A, live=(live(A, 0), live(A, 1, status="errored"))), "restart", A, "process 1 was given up"),
    ],
)
def test_decisions(state: Actual, action: str, activation: Activation, reason: str) -> None:
    decision = decided(state)
    assert (decision.action, decision.activation) == (action, activation)
    assert any(reason in text for text in decision.reasons)
    assert "2" not in "".join(text for text in decision.reasons if "environment" in text)
    assert decision.changes(state)


@pytest.mark.parametrize(
    ("numbers", "differs"), [((0, 1), False), ((0, 1, 0, 1), False), ((), True), ((0,), True), ((1, 0), True)]
)
def test_links_that_do_not_lead_to_the_workers_are_put_right(numbers: tuple[int, ...], differs: bool) -> None:
    state = running(A, sockets=tuple(PLACES.socket(A, number) for number in numbers))
    assert (decided(state).action, decided(state).changes(state)) == ("none", differs)


@pytest.mark.parametrize(
    "change",
    [
        {"node_args": ["--max-old-space-size=128"]},
        {"instances": 3},
        {"script": "other.js"},
        {"max_memory_restart": "1G"},
        {"env": {"NODE_ENV": "production", "MORE": "1"}},
    ],
)
def test_the_same_release_with_other_settings_is_another_activation(change: dict[str, Any]) -> None:
    desired = replace(DESIRED, app={**DESIRED.app, **change})
    assert decided(running(A), desired).activation == A2


def test_previous_is_the_release_that_was_active_before_and_stays_when_only_settings_change() -> None:
    assert decided(running(B)).previous == "b"
    assert decided(running(A, previous="b", environment={})).previous == "b"
    # killed between the switch and the links
    assert decided(running(A, current="b", previous="c")).previous == "b"


def test_a_previous_that_is_gone_is_no_way_back() -> None:
    state = running(A, previous="gone")
    assert (decided(state).previous, decided(state).action, decided(state).changes(state)) == ("", "none", True)
    # its directory was removed under it
    assert decided(running(B, releases=("a",))).previous == ""
    # somebody has pointed the link elsewhere
    assert decided(running(A, current="gone", previous="b")).previous == "b"


def test_what_interrupted_runs_left_is_found_wherever_there_is_a_trace_of_it() -> None:
    state = running(
        A,
        live=(live(A, 0), live(A, 1), live(B, 2)),
        links=("a", "a+2"),
        snapshots=("a", "c"),
    )
    decision = decided(state)
    assert decision.leftovers == ("a+2", "b", "c")
    assert decision.action == "none"
    assert decision.changes(state)


def test_apps_of_others_stay_in_the_ecosystem_file() -> None:
    mine = {"name": "cronjob", "script": "x.js", "cwd": "/srv/x"}
    state = running(A)
    state = replace(state, apps=(*state.apps, mine), config=render([*state.apps, mine]))
    assert not decided(state).changes(state)
    assert '"cronjob"' in decided(state, replace(DESIRED, release="b")).config


def test_the_release_that_is_asked_for() -> None:
    state = running(A, previous="b")
    assert [desired_release(replace(DESIRED, release=asked), state) for asked in ("", "previous", "c")] == [
        "a",
        "b",
        "c",
    ]
    assert desired_release(replace(DESIRED, release=""), Actual()) == ""
    with pytest.raises(ActivationError, match="no previous release"):
        desired_release(replace(DESIRED, release="previous"), running(A))
