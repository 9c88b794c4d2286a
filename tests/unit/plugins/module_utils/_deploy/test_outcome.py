# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people are told of a run, and what its options mean."""

from __future__ import annotations

import grp
import json
import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.argspec import SPEC, validated
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError, Places
from ansible_collections.workbot.stability.plugins.module_utils._deploy.outcome import Outcome
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import Decision
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import render
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
OLD, NEW = (render([{"name": "shop", "env": {"KEY": value}}]) for value in ("old secret", "new secret"))

NEW_SOCKET = Path("/run/shop/new@0.sock")


def decision(action: Any, **changes: Any) -> Decision:
    values = {
        "activation": Activation("new"),
        "reasons": ("release old -> new",),
        "dead": (),
        "leftovers": (),
        "sockets": (NEW_SOCKET,),
        "config": NEW,
        "previous": "old",
    }
    return Decision(action, **{**values, **changes})


ACTIVE = "shop: release new active after 1 s (release old -> new), previous old"
SOCKETS = tuple(Path(f"/run/shop/new@{number}.sock") for number in range(4))
DRAINED = {"seconds": 5.1, "connections": 40, "left": 0}


@pytest.mark.parametrize(
    ("outcome", "check_mode", "expected"),
    [
        (Outcome(decision("none", reasons=())), False, "shop: release new is active"),
        (
            Outcome(decision("none", reasons=()), Actual(config=NEW, current="new", previous="old"), changed=True),
            True,
            "shop: release new is active; would be put in order: the links to the sockets",
        ),
        (Outcome(decision("activate")), True, "shop: release new would be activated (release old -> new)"),
        (
            Outcome(decision("activate"), seconds=8.4, drained=DRAINED),
            False,
            "shop: release new active after 8.4 s (release old -> new), previous old, drained in 5.1 s",
        ),
        (
            Outcome(decision("activate", previous=""), seconds=8.4, drained={**DRAINED, "left": 3}),
            False,
            "shop: release new active after 8.4 s (release old -> new), drained in 5.1 s, 3 connections cut",
        ),
        (
            Outcome(decision("activate", sockets=SOCKETS), Actual(sockets=SOCKETS[:2]), seconds=1),
            False,
            f"{ACTIVE}; site.yml tells the proxy of 2 more workers",
        ),
        (
            Outcome(decision("activate", sockets=SOCKETS[:2]), Actual(sockets=SOCKETS), seconds=1),
            False,
            ACTIVE,
        ),
        (
            Outcome(decision("activate", reasons=(f"node_args: {'x' * 99} -> y",)), seconds=1),
            False,
            "shop: release new active after 1 s (node_args changed), previous old",
        ),
        (
            Outcome(decision("restart", reasons=("process 3 was given up by PM2",)), seconds=2),
            False,
            "shop: dead workers of release new restarted after 2 s (process 3 was given up by PM2)",
        ),
    ],
)
def test_one_sentence(outcome: Outcome, check_mode: bool, expected: str) -> None:
    assert outcome.sentence("shop", check_mode) == expected
    assert outcome.report("shop", check_mode)["msg"] == expected


def places(directory: Path) -> Places:
    return Context.of(options(directory), False).places


def test_the_diff_shows_the_file_the_links_and_the_steps(tmp_path: Path) -> None:
    old = tuple(Path(f"/run/shop/old@2@{number}.sock") for number in range(2))
    before = Actual(active=Activation("old", 2), sockets=old, current="old", config=OLD)
    outcome = Outcome(decision("activate", leftovers=("half",)), before)
    file, links, steps = outcome.diff(places(tmp_path))
    assert file["after_header"] == str(tmp_path / "activations/new/ecosystem.config.cjs")
    assert '"KEY": "(hidden)"' in file["before"]
    assert '"KEY": "(hidden, another one)"' in file["after"]
    assert "secret" not in file["before"] + file["after"]
    assert links["before"] == (
        "active -> old@2\nactive/0.sock -> /run/shop/old@2@0.sock\nactive/1.sock -> /run/shop/old@2@1.sock\n"
        "current -> old\n"
    )
    assert links["after"] == ("active -> new\nactive/0.sock -> /run/shop/new@0.sock\ncurrent -> new\nprevious -> old\n")
    assert steps["after"].splitlines() == [
        "remove half: left by an interrupted run",
        "activate new: release old -> new",
    ]


def test_without_a_difference_there_is_no_diff(tmp_path: Path) -> None:
    before = Actual(active=Activation("new"), sockets=(NEW_SOCKET,), current="new", previous="old", config=NEW)
    assert Outcome(decision("none", reasons=()), before).diff(places(tmp_path)) == []


def options(directory: Path, **changes: Any) -> dict[str, Any]:
    given = {
        "service": "shop",
        "directory": str(directory),
        "run_directory": "/run/shop",
        "app": {"script": "server.js", "instances": "2", "exec_mode": "cluster"},
        "user": ME,
        "group": MY_GROUP,
    }
    result = ArgumentSpecValidator(SPEC).validate({**given, **changes})
    assert not result.error_messages
    return validated(result.validated_parameters)


def test_everything_lies_below_the_service_directory(tmp_path: Path) -> None:
    host = Context.of(options(tmp_path, hooks={"before_stop": [["a", 1]]}), False)
    assert host.places.environment == tmp_path / "config/environment"
    assert host.places.socket(Activation("a", 2), 1) == Path("/run/shop/a@2@1.sock")
    assert host.tools.home == tmp_path / "active/pm2"
    assert host.desired.app["script"] == "server.js"
    assert host.desired.hooks["before_stop"] == [["a", 1]]
    assert host.desired.hooks["after_stop"] == []
    assert Context.of(options(tmp_path, release="previous"), True).desired.release == "previous"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"user": "nobody-at-all"}, ActivationError, "no user nobody-at-all"),
        ({"group": "nobody-at-all"}, ActivationError, "no group nobody-at-all"),
        ({"app": {"script": "x.js", "instanzes": 2}}, ActivationError, "instanzes"),
        ({"app": {"script": "x.js", "cwd": "/srv/x"}}, ActivationError, "cwd"),
        ({"app": {"script": "node_modules/.bin/tsx", "exec_mode": "cluster"}}, Pm2Error, "only starts another process"),
    ],
)
def test_bad_options(tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Context.of(options(tmp_path, **changes))


def test_what_is_kept_makes_another_activation_of_what_is_active(tmp_path: Path) -> None:
    of_this_run = {"release": "new", "migrate": ["npm", "run", "migrate"], "discard_failed": True, "deployer": "me"}
    first = Context.of(options(tmp_path, drain_time=5, hooks={"after_start": [["warm"]]}, **of_this_run))
    later = Context.of({**json.loads(first.kept), "deployer": "the watchdog"})
    assert later == replace(
        first,
        desired=replace(first.desired, release="", migrate=(), discard_failed=False, deployer="the watchdog"),
    )
    assert later.desired.drain_time == 5


def test_in_check_mode_the_user_may_come_later(tmp_path: Path) -> None:
    host = Context.of(options(tmp_path, user="nobody-at-all", group="nobody-at-all"), True)
    assert host.user.name == "nobody-at-all"
