# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, apps and decisions: from what is desired and what is there to what is to be done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import Health
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import (
    Activation,
    ActivationError,
    Desired,
    Places,
    takes_for_number,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.outcome import Outcome
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import (
    Decision,
    decide,
    desired_release,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import Ownership
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import render
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from hypothesis import given
from hypothesis import strategies as st

BASE = Path("/srv/shop")
PLACES = Places.below(BASE)
APP = {"script": "server.js", "exec_mode": "cluster", "instances": 2, "node_args": ["--max-old-space-size=64"]}
DESIRED = Desired({**APP, "env": {"NODE_ENV": "production"}}, "a")
STARTED = 1000.0


def context(desired: Desired = DESIRED) -> Context:
    tools = Pm2Client(BASE / "active/pm2", "/opt/shop/bin/pm2", "/opt/shop/bin/node", None, 5)
    health = Health("/health", answer_timeout=1, start_timeout=2, stay_up=0.2)
    return Context(tools, PLACES, desired, health, Identity("shop", 1, 1, "/srv/shop/home"), Ownership(0, 1, 0o640))


def live(activation: Activation, number: int = 0, desired: Desired = DESIRED, **changes: Any) -> Pm2Process:
    """A process as PM2 would report it for that activation."""
    app = context(desired).app_of(activation)
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
    app = context().app_of(activation)
    state = Actual(
        active=activation,
        current=activation.release,
        config=render([app]),
        app=app,
        live=(live(activation, 0), live(activation, 1)),
        releases=("a", "b"),
        sockets=tuple(PLACES.socket(activation, number) for number in range(2)),
        activations=(activation.name,),
        active_environment={"KEY": "1"},
        environment={"KEY": "1"},
    )
    return replace(state, **changes)


def decided(state: Actual, desired: Desired = DESIRED) -> Decision:
    return decide(context(desired), desired.release, state)


A, A2, B = Activation("a"), Activation("a", 2), Activation("b")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", fullmatch=True), st.integers(1, 10**6))
def test_a_name_says_release_and_number(release: str, number: int) -> None:
    activation = Activation(release, number)
    assert Activation.parse(activation.name) == activation
    assert PLACES.app_name(activation) == f"shop-{activation.name}"


@pytest.mark.parametrize("name", ["", "@2", "a@", "a@b", "a@2@3"])
def test_what_is_no_name_of_an_activation(name: str) -> None:
    assert Activation.parse(name) is None


def test_each_activation_has_an_app_a_socket_and_an_environment_of_its_own() -> None:
    app = replace(DESIRED, loader="loader.mjs").app_of(A2, PLACES)
    assert app["name"] == "shop-a@2"
    assert app["cwd"] == "/srv/shop/releases/a"
    assert app["env"] == {"NODE_ENV": "production", "PORT": "/run/shop/a@2@0.sock"}
    assert app["node_args"] == [
        "--env-file=/srv/shop/activations/a@2/environment",
        "--max-old-space-size=64",
        "--import",
        "file:///srv/shop/releases/a/loader.mjs",
    ]


def test_all_that_root_makes_of_an_activation_is_in_one_directory() -> None:
    directory = Path("/srv/shop/activations/a@2")
    assert PLACES.of(A2) == directory
    assert PLACES.snapshot(A2) == directory / "environment"
    assert PLACES.config_file(A2) == directory / "ecosystem.config.cjs"
    assert PLACES.binaries(A2) == directory / "bin"
    assert PLACES.pm2_link(A2) == directory / "pm2"
    assert PLACES.link(A2, 1) == directory / "1.sock"


def test_each_activation_is_a_unit_with_a_pm2_of_its_own() -> None:
    assert [PLACES.unit(one) for one in (A, A2)] == ["shop@a.service", "shop@a@2.service"]
    assert [PLACES.pm2_home(one) for one in (A, A2)] == [Path("/run/shop@a"), Path("/run/shop@a@2")]


def test_it_is_talked_to_by_the_tools_that_it_was_made_with() -> None:
    client = context().client(A2)
    assert (client.home, client.pm2, client.node) == (
        Path("/run/shop@a@2"),
        "/srv/shop/activations/a@2/bin/pm2",
        "/srv/shop/activations/a@2/bin/node",
    )


@pytest.mark.parametrize("activation", [A, A2], ids=["first", "second"])
def test_its_processes_find_these_tools_first(activation: Activation) -> None:
    """Whatever is in the name of an activation: a colon would end a directory of PATH."""
    path = context().app_of(activation)["env"]["PATH"].split(":")
    assert path[0] == str(Path(context().client(activation).node).parent)
    assert [directory for directory in path if not directory.startswith("/")] == []


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
        (running(A, broken=("no PM2 daemon runs",), live=()), "activate", A2, "no PM2 daemon runs"),
        (running(A, broken=("PM2: 7.0.3 -> 7.0.4",)), "activate", A2, "PM2: 7.0.3 -> 7.0.4"),
        (running(B, broken=("no PM2 daemon runs",), live=()), "activate", A, "release b -> a"),
        (running(A, live=(live(A, 0),)), "activate", A2, "instances: 1 -> 2"),
        (running(A, live=(live(A, 0), live(A, 1, status="errored"))), "restart", A, "process 1 was given up"),
    ],
)
def test_decisions(state: Actual, action: str, activation: Activation, reason: str) -> None:
    decision = decided(state)
    assert (decision.action, decision.activation) == (action, activation)
    assert any(reason in text for text in decision.reasons)
    assert decision.config == render([context().app_of(activation)])
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


def test_a_pm2_that_is_to_be_replaced_is_not_asked_for_more() -> None:
    """Its processes may be missing since it did not answer: that they do not run is no reason of its own."""
    state = running(A, broken=("it does not answer",), live=(), environment={"KEY": "2"})
    assert decided(state).reasons == ("it does not answer",)


def test_what_interrupted_runs_left_are_all_activations_but_the_active_one() -> None:
    state = running(A, activations=("a", "a@2", "b", "c"))
    decision = decided(state)
    assert decision.leftovers == ("a@2", "b", "c")
    assert decision.action == "none"
    assert decision.changes(state)
    assert decided(replace(state, active=None)).leftovers == ("a", "a@2", "b", "c")


def test_a_process_that_nobody_has_declared_is_deleted() -> None:
    stranger = replace(live(A, 2), name="\x1b[2Jminer")
    state = running(A, live=(live(A, 0), live(A, 1), stranger))
    decision = decided(state)
    assert (decision.action, decision.strangers, decision.changes(state)) == ("none", (stranger,), True)
    outcome = Outcome(decision, state, changed=True)
    assert "process 2 of PM2 ('\\x1b[2Jminer'), which nobody has declared" in outcome.sentence("shop", check_mode=True)
    assert "delete process 2 of PM2" in json.dumps(outcome.diff(PLACES))


def test_an_ecosystem_file_that_somebody_changed_is_put_right_without_a_restart() -> None:
    state = running(A, config=render([{**context().app_of(A), "instances": 9}]))
    decision = decided(state)
    assert (decision.action, decision.changes(state)) == ("none", True)
    assert decision.config == render([context().app_of(A)])


def test_the_release_that_is_asked_for() -> None:
    state = running(A, previous="b")
    assert [desired_release(replace(DESIRED, release=asked), state) for asked in ("", "previous", "c")] == [
        "a",
        "b",
        "c",
    ]
    assert desired_release(replace(DESIRED, release=""), Actual()) == ""
    # killed between its switch and the links
    state = running(A, current="c", previous="b")
    assert desired_release(replace(DESIRED, release="previous"), state) == "c"
    with pytest.raises(ActivationError, match="no previous release"):
        desired_release(replace(DESIRED, release="previous"), running(A))


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        (
            "RangeError [ERR_SOCKET_BAD_PORT]: options.port should be >= 0 and < 65536. Received type number (NaN).",
            True,
        ),
        ('"received": "NaN",\n    "path": [\n      "PORT"\n    ]', True),
        ("PORT: Expected number, received nan", True),
        ('PORT: Invalid port input: "/run/shop/a@0.sock"', True),
        ("Error: listen EACCES: permission denied /run/shop/a@0.sock", False),
        ("TRANSPORT is set, and the price is NaN", False),
    ],
)
def test_a_program_that_takes_the_path_for_a_number_is_known_by_its_words(said: str, takes: bool) -> None:
    assert bool(takes_for_number("PORT", Path("/run/shop")).search(said)) == takes
