# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what roles and playbooks compute: variables hold data, and what is more than a choice of them is Python."""

from __future__ import annotations

import re
from pathlib import Path

LENGTH_AT_MOST = 160
EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def expressions_are_small(root: Path) -> list[str]:
    """A Jinja expression is short, and reads no YAML: that would be a value that another one has printed as text."""
    problems = []
    for path in sorted(path for folder in ("roles", "playbooks") for path in (root / folder).rglob("*")):
        if path.suffix not in (".j2", ".yml"):
            continue
        text = path.read_text(encoding="utf-8")
        for match in EXPRESSION.finditer(text):
            place = f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1}"
            length = len(" ".join(match[0].split()))
            if length > LENGTH_AT_MOST:
                problems.append(
                    f"{place}: an expression of {length} characters, at most {LENGTH_AT_MOST};"
                    " name its parts, or write a filter"
                )
            if "from_yaml" in match[0]:
                problems.append(f"{place}: reads a printed value with from_yaml; write a filter that returns the value")
    return problems
