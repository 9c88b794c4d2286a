# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from places import ROOT


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


VARIABLES = load("roles/postgresql/vars/main.yml")


def rendered(name: str, **variables: Any) -> Any:
    return Templar(DataLoader(), variables=variables).template(trust_as_template(VARIABLES[name]))


def test_a_deployment_weighs_the_connections_before_its_roles() -> None:
    first = load("playbooks/deploy.yml")[1]["tasks"][0]["block"]
    imported = [task.get("ansible.builtin.import_role", {}) for task in first]
    assert imported[-1] == {"name": "workbot.stability.postgresql", "tasks_from": "budget.yml"}


@pytest.mark.parametrize(("local", "turns"), [(True, 0), (False, 1)])
def test_hosts_that_share_a_server_take_turns(local: bool, turns: int) -> None:
    assert rendered("__postgresql_turns", __postgresql_is_local=local) == turns
    [indexes] = load("roles/postgresql/tasks/indexes.yml")
    assert indexes["throttle"] == "{{ __postgresql_turns }}"
    for name in ("database", "schema"):
        [block] = [task for task in load(f"roles/postgresql/tasks/{name}.yml") if "block" in task]
        assert block["throttle"] == "{{ __postgresql_turns }}"


def test_the_guard_of_the_schema_names_the_table_whatever_is_in_its_name() -> None:
    guard = rendered("__postgresql_schema_guard", postgresql_schema={"creates": "it's"})
    assert "to_regclass('it''s') IS NOT NULL" in guard
    [apply] = [
        task
        for block in load("roles/postgresql/tasks/schema.yml")
        for task in block["block"]
        if task["name"] == "Apply the schema"
    ]
    [told] = [part for part in guard.split("'") if "by now" in part]
    assert f"'{told}' not in" in apply["failed_when"]


def test_what_a_server_elsewhere_has_is_gone_through() -> None:
    assert rendered("__postgresql_database_differs", __postgresql_asked={"skipped": True}) is True


@pytest.mark.parametrize(
    ("asked", "server", "database"),
    [
        ({"answers": False}, True, True),
        ({"answers": True, "server": [], "database": []}, False, False),
        ({"answers": True, "server": ["x"], "database": []}, True, False),
        ({"answers": True, "server": [], "database": ["x"]}, False, True),
    ],
)
def test_only_what_differs_is_gone_through(asked: dict[str, Any], server: bool, database: bool) -> None:
    assert rendered("__postgresql_server_differs", __postgresql_asked=asked) is server
    assert rendered("__postgresql_database_differs", __postgresql_asked=asked) is database


def test_a_new_certificate_is_handed_over_at_once() -> None:
    asked = {"answers": True, "server": [], "database": []}
    certificate = {"changed": True}
    assert rendered("__postgresql_server_differs", __postgresql_asked=asked, __postgresql_certificate=certificate)
