# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a site is made of variables, and kept for as long as these are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleUndefinedVariable
from ansible_collections.workbot.stability.plugins.plugin_utils._site.base import Site
from ansible_collections.workbot.stability.plugins.plugin_utils._site.roles import (
    CHECKED,
    SITES,
    kept,
    kept_site,
    read_of,
    role_asked,
    site_of,
    site_variable,
)
from ansible_collections.workbot.stability.plugins.plugin_utils.templates import References

ROLES = Path(__file__).parents[5] / "roles"
VARIABLES = {"backup_directory": "/backup", "backup_s3_bucket": "", "backup_removed": "no"}


def options() -> dict[str, Any]:
    files = ROLES.glob("*/meta/argument_specs.yml")
    specs = [yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]["main"] for file in files]
    return {name: option for spec in specs for name, option in (spec.get("options") or {}).items()}


@pytest.mark.parametrize("role", SITES)
def test_no_secret_is_read_and_every_option_has_its_own_type(role: str) -> None:
    known = options()
    types = {"int": "int", "bool": "bool", "str": "str", "path": "str"}
    for name, annotated in SITES[role].variables().items():
        option = known.get(name, {})
        assert not option.get("no_log"), name
        assert types.get(option.get("type", ""), annotated) == annotated or "auto" in str(option), name


@pytest.mark.parametrize("role", SITES)
def test_a_role_asks_for_its_own(role: str) -> None:
    files = [*(ROLES / role.partition("_")[0] / "vars").rglob("*.yml")]
    variables = {
        key: value for file in files for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()
    }
    assert role_asked(variables[site_variable(role)]) == role


def test_no_task_registers_what_the_vars_ask_for() -> None:
    """A result of that name would stand in the site's place from then on."""
    files = [*ROLES.glob("*/tasks/*.yml"), *(ROLES.parent / "playbooks").glob("*.yml")]
    registered = {name for file in files for name in re.findall(r"register: (\w+)", file.read_text(encoding="utf-8"))}
    assert registered and not registered & {*map(site_variable, SITES)}


def test_what_needs_an_unknown_variable_is_left_out() -> None:
    def template(value: str) -> str:
        if "missing" in value:
            raise AnsibleUndefinedVariable("'missing' is undefined")
        return value

    site = site_of("backup", {**VARIABLES, "groups": {}, "service_name": "{{ missing }}"}, template)
    assert site["is_wanted"] is True
    assert "client" not in site
    assert "is_made" not in site


def test_a_mistake_is_no_unknown_variable() -> None:
    class Wrong(Site):
        number: int

    with pytest.raises(ValueError, match="invalid literal"):
        assert Wrong({"number": "many"}.__getitem__).number
    with pytest.raises(AttributeError):
        assert Wrong({"other": 1}.__getitem__).other


def test_it_is_kept_until_something_that_it_depends_on_has_another_value() -> None:
    given = {**VARIABLES, "backup_directory": "{{ disk }}/{{ __found.name }}", "disk": "/backup", "nginx_port": 80}
    names = References().reached("{{ lookup('workbot.stability.site', 'backup') }}", given)
    found = {"is_wanted": True}
    checked = {**given, CHECKED: {"sites": {"backup": kept(given, names, found)}}}
    assert kept_site("backup", checked) == found
    assert kept_site("backup", {**checked, "nginx_port": 81}) == found
    assert kept_site("backup", {**checked, "backup_directory": "/mnt"}) is None
    assert kept_site("backup", {**checked, "disk": "/mnt"}) is None
    # as a task registers it later
    assert kept_site("backup", {**checked, "__found": {"name": "x"}}) is None
    assert kept_site("backup", given) is None


def test_it_is_kept_when_a_task_has_included_a_part_of_a_role_of_the_play_s() -> None:
    given = {**VARIABLES, "ansible_play_role_names": ["service", "backup"]}
    checked = {**given, CHECKED: {"sites": {"service": kept(given, ["ansible_play_role_names"], {"accounts": []})}}}
    assert kept_site("service", {**checked, "ansible_play_role_names": ["service", "backup", "backup"]})
    assert not kept_site("service", {**checked, "ansible_play_role_names": ["service", "backup", "nginx"]})


def test_a_template_that_asks_needs_all_that_the_site_is_made_of() -> None:
    assert {"backup_directory", "hostvars", "ansible_facts", CHECKED} <= {*read_of("backup")}
