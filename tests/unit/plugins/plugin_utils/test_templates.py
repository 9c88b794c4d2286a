# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which variables a template refers to, and the order in which they are rendered once each."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils.templates import References, in_order

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
