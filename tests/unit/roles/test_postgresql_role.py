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
from role_templates import trusted


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


VARIABLES = load("roles/postgresql/vars/main.yml")


def rendered(name: str, **variables: Any) -> Any:
    return templated(VARIABLES[name], **variables)


def templated(given: Any, **variables: Any) -> Any:
    return Templar(DataLoader(), variables=variables).template(trusted(given))


def task(file: str, name: str) -> Any:
    [found] = [task for task in load(f"roles/postgresql/tasks/{file}.yml") if task["name"] == name]
    return found


def test_a_deployment_weighs_the_connections_before_its_roles() -> None:
    first = load("playbooks/deploy.yml")[1]["tasks"][0]["block"]
    imported = [task.get("ansible.builtin.import_role", {}) for task in first]
    assert imported[-1] == {"name": "workbot.stability.postgresql", "tasks_from": "budget.yml"}


@pytest.mark.parametrize(("local", "turns"), [(True, 0), (False, 1)])
def test_hosts_that_share_a_server_take_turns(local: bool, turns: int) -> None:
    throttle = task("indexes", "Create the indexes")["throttle"]
    assert templated(throttle, service_database_is_local=local) == turns


@pytest.mark.parametrize(("local", "given"), [(True, {}), (False, {"login_password": "p/w"})])
def test_nobody_has_a_password_at_the_socket(local: bool, given: dict[str, str]) -> None:
    known = {"service_database_is_local": local, "service_database_password": "p/w", "postgresql_admin_password": "p/w"}
    for file, name in (
        ("indexes", "Create the indexes"),
        ("database", "Create the database, its roles and its tables"),
    ):
        [arguments] = [value for key, value in task(file, name).items() if key.startswith("workbot.stability.")]
        assert templated({"login_password": arguments["login_password"]}, **known) == given


@pytest.mark.parametrize("administers", [True, False])
def test_whoever_asks_has_the_own_password(administers: bool) -> None:
    asked = task("budget", "Query the server's connections")
    password = asked["workbot.stability.postgresql_connection_budget"]["login_password"]
    found = templated(
        password,
        service_database_is_local=False,
        __postgresql_password=trusted(asked["vars"]["__postgresql_password"]),
        __postgresql_site={"administers": administers},
        postgresql_admin_password="admins",
        service_database_password="services",
    )
    assert found == ("admins" if administers else "services")


@pytest.mark.parametrize(
    ("answer", "addresses", "unknown"),
    [
        ({"10.0.0.12": ["STREAM"], "fd00::12": ["STREAM"]}, ["10.0.0.12", "fd00::12"], ""),
        ({"app2.test": None}, [], "app2.test of app2, "),
    ],
    ids=["known", "unknown"],
)
def test_a_name_that_nobody_knows_is_told(answer: dict[str, Any], addresses: list[str], unknown: str) -> None:
    stored, refused = task("fleet", "Store the results"), task("fleet", "Refuse app hosts that no access rule can name")
    known = {
        "__postgresql_site": {"client_names": ["app2.test"]},
        "__postgresql_lookups": {"results": [{"ansible_facts": {"getent_ahosts": answer}}]},
        "service_database_clients": {"app1": "10.0.0.11", "app2": "app2.test"},
        "inventory_hostname": "db",
    }
    given = stored["ansible.builtin.set_fact"]["__postgresql_told_addresses"]
    told = templated(given, **known, **trusted(stored["vars"]))
    assert told == {"app2.test": addresses}
    assertion = refused["ansible.builtin.assert"]
    templar = Templar(DataLoader(), variables={**known, "__postgresql_told_addresses": told})
    assert templar.evaluate_conditional(trust_as_template(assertion["that"])) is not bool(unknown)
    assert f"can't look up {unknown}" in templated(assertion["fail_msg"], **known, __postgresql_told_addresses=told)


@pytest.mark.parametrize(
    ("check", "missing", "lacks"),
    [(True, ["python3-cryptography"], True), (True, [], False), (False, ["python3-cryptography"], False)],
)
def test_check_mode_goes_on_where_a_server_is_to_serve_others_as_well(
    check: bool, missing: list[str], lacks: bool
) -> None:
    """The library for its certificate is then not there yet, but the server is."""
    given = task("certificate", "Keep the server's certificate")["vars"]["__postgresql_is_uncertified"]
    found = templated(given, ansible_check_mode=check, __postgresql_installation={"missing": missing})
    assert found is lacks


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

    variables = {"service_database_is_local": True, "__postgresql_compared": Unanswered(look)}
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
        "__postgresql_is_shut", ansible_check_mode=True, service_database_is_local=True, __postgresql_compared=compared
    )
    assert found is shut
