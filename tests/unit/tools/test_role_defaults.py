# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a role's defaults/main.yml, made of its argument specification."""

from __future__ import annotations

import pytest
import yaml
from role_defaults import defaults_text

HEAD = """---
argument_specs:
  main:
    short_description: A web server
    description: [Serves the web., See C(docs/web.md).]
    options:
"""


def defaults(options: str) -> str:
    """The text below the head."""
    text = defaults_text(HEAD + options)
    yaml.safe_load(text)
    return text.partition("\n\n")[2]


def test_begins_with_where_it_is_from_and_what_the_role_does() -> None:
    text = defaults_text(HEAD + "      web_port: {description: Port., default: 80}\n")
    assert text == (
        "---\n# Generated from meta/argument_specs.yml by `make docs`: edit that file instead.\n"
        "#\n# Serves the web.\n# See docs/web.md.\n\n# Port.\nweb_port: 80\n"
    )


@pytest.mark.parametrize(
    "value",
    [
        " 80",
        ' "0644"',
        " \"{{ service_name | replace('-', '_') }}\"",
        " []",
        ' [.git, "*.log"]',
        "\n  nosniff: true\n  parts:\n    - a\n    - b",
        "\n  [\n    a, b,\n    c\n  ]",
        " >-\n  one\n  two",
    ],
)
def test_a_value_is_written_as_in_the_specification(value: str) -> None:
    indented = value.replace("\n", "\n        ")
    options = f"      web_x:\n        description: X.\n        default:{indented}\n        type: raw\n"
    assert defaults(options) == f"# X.\nweb_x:{value}\n"


def test_a_comment_is_wrapped_and_has_no_markup() -> None:
    option = f"      web_x: {{description: 'V(auto) is C(a b). {'word ' * 40}', default: ''}}\n"
    first, second, _line = defaults(option).splitlines()
    assert first.startswith("# auto is a b. word")
    assert second.startswith("# word")
    assert len(first) <= 140


def test_choices_and_keys_are_named() -> None:
    option = "      web_x: {description: X., choices: ['', a], default: '', options: {b: {}, c: {}}}\n"
    assert defaults(option) == "# X. One of \"\", a. Keys: b, c; see README.md.\nweb_x: ''\n"


def test_a_required_variable_has_no_value() -> None:
    assert defaults("      web_x: {description: X., required: true}\n") == "# X. Required.\n# web_x:\n"
