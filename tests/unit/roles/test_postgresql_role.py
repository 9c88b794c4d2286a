# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.workbot.stability.plugins.plugin_utils._compare.questions import Unanswered
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


@pytest.mark.parametrize(
    ("compared", "differs"),
    [
        ({"skipped": True}, True),
        ({"failed": False, "msg": "refused"}, True),
        ({"answers": False, "problems": ["no server listens"]}, True),
        ({"answers": True, "problems": []}, False),
    ],
)
def test_only_a_server_that_differs_is_set_up(compared: dict[str, Any], differs: bool) -> None:
    assert rendered("__postgresql_server_differs", __postgresql_compared=compared) is differs


def test_a_new_certificate_is_handed_over_at_once() -> None:
    compared = {"answers": True, "problems": []}
    certificate = {"changed": True}
    assert rendered("__postgresql_server_differs", __postgresql_compared=compared, __postgresql_certificate=certificate)


def test_only_check_mode_waits_for_what_the_server_answers() -> None:
    looked: list[bool] = []

    def look() -> None:
        looked.append(True)

    variables = {"__postgresql_is_local": True, "__postgresql_compared": Unanswered(look)}
    variables["__postgresql_server_differs"] = trust_as_template(VARIABLES["__postgresql_server_differs"])
    assert rendered("__postgresql_is_shut", ansible_check_mode=False, **variables) is False
    assert not looked


@pytest.mark.parametrize(("is_new", "looks", "asked"), [(False, [], True), (True, [True], False)])
def test_only_a_first_run_finds_out_whether_there_is_a_server_to_ask(
    is_new: bool, looks: list[bool], asked: bool
) -> None:
    """Elsewhere the question for its connections does not wait for what the comparison of the server says."""
    looked: list[bool] = []
    condition = trust_as_template(load("roles/postgresql/tasks/budget.yml")[0]["when"])

    def holds(compared: Any) -> bool:
        known = {"service_database_enabled": True, "service_is_new": is_new, "__postgresql_compared": compared}
        return Templar(DataLoader(), variables=known).evaluate_conditional(condition)

    with contextlib.suppress(AnsibleError):
        holds(Unanswered(lambda: looked.append(True)))
    assert looked[:1] == looks
    assert holds({"answers": False}) is asked


@pytest.mark.parametrize(
    ("compared", "shut"),
    [
        ({"problems": []}, False),
        ({"problems": ["pg_hba.conf lacks a line"]}, True),
        ({"failed": True, "msg": "refused"}, True),
        # it was as declared, so that nothing was set up: whatever is refused then is refused by the real run as well
        ({"skipped": True}, False),
    ],
)
def test_check_mode_gets_in_only_where_the_access_rules_are_there(compared: dict[str, Any], shut: bool) -> None:
    found = rendered(
        "__postgresql_is_shut", ansible_check_mode=True, __postgresql_is_local=True, __postgresql_compared=compared
    )
    assert found is shut
