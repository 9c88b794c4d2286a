# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order in which variables are rendered once each."""

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.plugin_utils.templates import in_order

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
