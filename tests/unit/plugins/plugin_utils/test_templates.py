# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables templates refer to, in which order these are rendered once each, and what files are rendered of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.workbot.stability.plugins.plugin_utils.templates import References, in_order, rendered
from role_templates import trusted

VARIABLES = {
    "address": "{{ host }}:{{ port }}",
    "host": "{{ name }}.example",
    "name": "shop",
    "port": 80,
    "servers": [{"host": "{{ address }}"}],
    "unused": "{{ name }}",
}


def test_each_comes_behind_what_it_refers_to_and_nothing_else_comes() -> None:
    assert in_order(["servers"], VARIABLES) == ["name", "host", "port", "address", "servers"]
    assert sorted(in_order(VARIABLES, VARIABLES)) == sorted(VARIABLES)


def test_a_circle_has_an_end() -> None:
    assert sorted(in_order(["a"], {"a": "{{ b }}", "b": "{{ a }}", "c": "{{ c }}"})) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["{{ address }}", "port == 80"], {"address", "host", "name", "port"}),
        ({"at": {"{{ port }}": None}}, {"port"}),
        ({"at": ("{{\nport }}", ["{{\thost }}"])}, {"port", "host", "name"}),
        ("nothing of it", set()),
        ("{{ unknown }}", set()),
    ],
)
def test_a_template_refers_to_what_it_names_itself_or_by_others(given: object, names: set[str]) -> None:
    assert References().of([given], VARIABLES, {}) == {name: VARIABLES[name] for name in names}


def test_a_value_refers_to_nothing_unless_it_is_given_to_another_variable_of_the_name() -> None:
    final = {"address": "name of another host", "host": "{{ port }}"}
    variables = {**VARIABLES, "address": final["address"]}
    assert set(References().of(["{{ address }}, {{ host }}"], variables, final)) == {"address", "host", "name"}


@pytest.mark.parametrize(
    "template",
    [
        "{{ lookup('vars', 'po' ~ 'rt') }}",
        "{{ query('varnames', 'p') }}",
        "{{ vars['po' ~ 'rt'] }}",
        "{% include 'x' %}",
    ],
)
def test_what_may_read_any_variable_is_given_all(template: str) -> None:
    variables = {**VARIABLES, "found": template}
    assert References().of(["{{ found }}"], variables, {}) is variables


def test_another_host_is_not_rendered_for_its_name() -> None:
    class HostVars(Mapping[str, object]):
        def __repr__(self) -> str:
            raise AssertionError("each of its variables would be rendered")

        __getitem__ = __iter__ = __len__ = __repr__  # type: ignore[assignment]

    variables = {"hostvars": HostVars(), "shop": {"port": 80}}
    assert set(References().of(["{{ hostvars.shop.port }}"], variables, {})) == {"hostvars", "shop"}


@pytest.fixture(autouse=True)
def _lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's lookup under its whole name, which is known to runs of Ansible's programs alone."""
    original = lookup_loader.get

    def get(name: str, *given: Any, **named: Any) -> Any:
        return original(name.removeprefix("ansible.builtin."), *given, **named)

    monkeypatch.setattr(lookup_loader, "get", get)


def text_of(role: Path, name: str, variables: Mapping[str, Any], added: Mapping[str, Any] | None = None) -> str:
    loader = DataLoader()
    action = SimpleNamespace(_loader=loader, _templar=Templar(loader))
    found = {**variables, "ansible_search_path": [str(role)]}
    return rendered(cast("Any", action), name, trusted(found), trusted(added))


@pytest.fixture
def role(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/part.j2").write_text("{{ unused }}", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ address }}", "shop.example:80"),
        ("{{ servers | to_json }}", '[{"host": "shop.example:80"}]'),
        ("{% for one in path %}{{ one }};{% endfor %}", "shop.example;/;"),
        ("{% include 'part.j2' %}", "shop"),
        ("port {{ lookup('vars', 'po' ~ 'rt') }}", "port 80"),
        ("{{ ansible_managed }}", "kept by shop"),
        ("{{ template_path is defined or '' }}!", "True!"),
    ],
)
def test_a_file_is_rendered_of_what_it_refers_to(role: Path, template: str, text: str) -> None:
    (role / "templates/file.j2").write_text(template, encoding="utf-8")
    variables = {**VARIABLES, "ansible_managed": "kept by {{ name }}"}
    assert text_of(role, "file.j2", variables, {"path": ["{{ host }}", "/"]}) == text


def test_a_template_that_is_not_there_is_named(role: Path) -> None:
    with pytest.raises(AnsibleError, match=r"other\.j2"):
        text_of(role, "other.j2", VARIABLES)
