# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the roles' defaults/main.yml, values and comments, from their meta/argument_specs.yml: `make docs`."""

from __future__ import annotations

import re
import textwrap
import typing as t
from pathlib import Path

import yaml

_NOTE = "# Generated from meta/argument_specs.yml by `make docs`: edit that file instead.\n#"
_WIDTH = 140
# Of Ansible's documentation, such as V(auto).
_MARKUP = re.compile(r"\b[A-Z]\((.*?)\)")


def defaults_text(specification: str) -> str:
    """Return the content of defaults/main.yml for that of meta/argument_specs.yml."""
    main = yaml.safe_load(specification)["argument_specs"]["main"]
    node = yaml.compose(specification, yaml.SafeLoader)
    for key in ("argument_specs", "main", "options"):
        node = _entries(node)[key][1]
    parts = ["\n".join(["---", _NOTE, *map(_comment, main["description"])])]
    for name, option in main["options"].items():
        entry = _entries(_entries(node)[name][1]).get("default")
        line = f"{name}{_source(specification, entry)}" if entry else f"# {name}:"
        parts.append(f"{_comment(_explanation(option))}\n{line}")
    return "\n\n".join(parts) + "\n"


def _entries(mapping: t.Any) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    return {key.value: (key, value) for key, value in mapping.value}


def _source(text: str, entry: tuple[yaml.Node, yaml.Node]) -> str:
    """Return a value as it is written after its key, from the colon on, with its further lines moved to the left."""
    key, value = entry
    written = text[key.end_mark.index : value.end_mark.index].rstrip()
    return written.replace("\n" + " " * key.start_mark.column, "\n")


def _explanation(option: dict[str, t.Any]) -> str:
    sentences: list[str] = [option["description"]]
    if option.get("required"):
        sentences.append("Required.")
    if "choices" in option:
        choices = (choice or '""' for choice in option["choices"])
        sentences.append(f"One of {', '.join(choices)}.")
    if "options" in option:
        sentences.append(f"Keys: {', '.join(option['options'])}; see README.md.")
    return " ".join(sentences)


def _comment(paragraph: str) -> str:
    plain = _MARKUP.sub(r"\1", paragraph)
    wrapped = textwrap.wrap(plain, _WIDTH - len("# "), break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in wrapped)


def write(roles: Path) -> None:
    """Write the defaults of each role in a directory of roles."""
    for specification in sorted(roles.glob("*/meta/argument_specs.yml")):
        text = defaults_text(specification.read_text(encoding="utf-8"))
        (specification.parents[1] / "defaults/main.yml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "roles")
