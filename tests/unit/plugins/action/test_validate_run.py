# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook refuses at its beginning what Ansible would pass over: by exit status, with the name that is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from playbooks import run_playbook

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("[!_]*.yml"))
# Nobody answers there: what is not refused ends as unreachable.
HOST = {"ansible_host": "127.0.0.1", "ansible_port": 1}
APP = {"app": {"hosts": {"one": HOST}}}
PROXY = {"proxy": {"hosts": {"two": HOST}}}
TAGS = "immediate, short_term, long_term, alerting, metrics, backup"


def run(directory: Path, inventory: Any, playbook: str, *options: str) -> tuple[int, str]:
    """Exit status and output, without line breaks."""
    file = directory / "hosts.json"
    if inventory is not None:
        file.write_text(json.dumps(inventory))
    return run_playbook(playbook, file, *options)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_every_playbook_begins_with_it(tmp_path: Path, playbook: str) -> None:
    code, output = run(tmp_path, {"apps": {"hosts": {"one": HOST}}}, f"workbot.stability.{playbook}")
    assert code == 2
    assert "Nothing was changed. inventory: has no host in the group app; is the group apps meant?" in output
    assert output.count("TASK [") == 1


@pytest.mark.parametrize(
    ("inventory", "playbook", "options", "said"),
    [
        (None, "site", (), ["inventory: no host in it ("]),
        ({"app": {"hosts": {}}, **PROXY}, "site", (), ["inventory: has no host in the group app, only in proxy"]),
        ({"web": {"hosts": {"one": HOST}}}, "site", (), ["inventory: has no host in the group app, only in web"]),
        ({**APP, **PROXY}, "deploy", ("--limit=two",), ["--limit: leaves out every host of the group app: one"]),
        (
            APP,
            "site",
            ("--tags=imediate,mine,all,short_term", "--skip-tags=alert"),
            [
                "--tags imediate: no task has this tag; did you mean immediate?",
                f"--tags mine: no task has this tag; there are {TAGS}.",
                "--skip-tags alert: no task has this tag; did you mean alerting?",
            ],
        ),
        (
            APP,
            "rollback",
            ("-erollback_relase=a",),
            ["rollback_relase: no playbook has this variable; did you mean rollback_release?"],
        ),
        (
            APP,
            "deploy",
            (
                '-e{"deploy_foo": 1, "deploy_canary": "maybe", "deploy_unreachable": "ignore"}',
                "-edeploy_canary_wait=-1",
                "-edeploy_canary_max_errors=101",
            ),
            [
                "deploy_foo: no playbook has this variable; there are deploy_serial, deploy_canary,",
                "deploy_canary = maybe: expected true or false",
                "deploy_unreachable = ignore: expected one of fail, skip",
                "deploy_canary_wait = -1.0: expected a number, 0 to 86400",
                "deploy_canary_max_errors = 101.0: expected a number, 0 to 100",
            ],
        ),
        (
            APP,
            "drain",
            ("-edrain_wait=long", "-edrain_announce=-1"),
            ["drain_wait = long: expected a number", "drain_announce = -1.0: expected a number, 0 or more"],
        ),
        (APP, "deploy", ("-edeploy_canary_wait=nan",), ["deploy_canary_wait = nan: expected a number"]),
        # `bool` takes y for no where argument specifications take it for yes
        (APP, "remove", ("-eremove_data=y",), ["remove_data = y: expected true or false"]),
    ],
)
def test_what_ansible_passes_over_is_refused(
    tmp_path: Path, inventory: Any, playbook: str, options: tuple[str, ...], said: list[str]
) -> None:
    code, output = run(tmp_path, inventory, f"workbot.stability.{playbook}", *options)
    assert code == 2
    assert [text for text in said if text not in output] == []
    assert output.count("TASK [") == 1


def test_a_part_of_a_second_or_of_a_percent_is_right(tmp_path: Path) -> None:
    options = ("-edeploy_canary_wait=0.5", '-e{"deploy_canary_max_errors": 0.5}')
    _code, output = run(tmp_path, APP, "workbot.stability.deploy", *options)
    assert "Nothing was changed. deploy_" not in output
    assert output.count("TASK [") > 1


def test_a_misspelled_variable_of_the_inventory_is_refused_and_one_of_the_users_own_is_not(tmp_path: Path) -> None:
    inventory = {"app": {"hosts": {"one": HOST}, "vars": {"deploy_user": "ci", "deploy_serail": 2}}}
    _code, output = run(tmp_path, inventory, "workbot.stability.deploy")
    assert "deploy_serail: no playbook has this variable; did you mean deploy_serial?" in output
    assert "deploy_user" not in output


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (("-edeploy_user=ci", '-e{"service_ignored_variables": ["deploy_user"]}'), ()),
        (("--tags=all",), ()),
        (("--tags=mine",), ()),
        (("--tags=imediate",), ("--tags imediate",)),
    ],
)
def test_a_playbook_of_the_users_own_has_tags_of_its_own(
    tmp_path: Path, options: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("- import_playbook: workbot.stability.site\n")
    _code, output = run(tmp_path, APP, str(mine), *options)
    assert ("Nothing was changed. --tags" in output) is bool(refused)
    assert all(text in output for text in refused)
