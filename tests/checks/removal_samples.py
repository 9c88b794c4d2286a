# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small list of what a service owns with its documents, and what the checks of it say when one thing is broken."""

from __future__ import annotations

from removal_checks import LAYOUT, LIST, TABLE, removal_knows_the_layout, removal_table_is_current

SOUND = {
    LIST: """
from enum import Enum
from types import SimpleNamespace

Step = Enum("Step", {"WATCHING": "first"})

def Service(**given):
    return given

def belongings(service):
    return [
        SimpleNamespace(
            path=path.format(**service), step=Step.WATCHING, marks=("shop",), data=False, unless="", directory=directory
        )
        for path, directory in {"/srv/{name}": True, "/etc/{name}.path": False, "/etc/{name}.timer": False}.items()
    ]
""",
    LAYOUT: "| Path |\n| --- |\n| `/srv/<name>/`, `/etc/<name>.path`, `<name>.timer` |\n",
    TABLE: """<!-- table: what goes -->
| Goes | What | Known by |
| --- | --- | --- |
| first | `/srv/<name>`, `/etc/<name>.path`, `/etc/<name>.timer` | `shop` |
""",
}
# Check, file, what is taken out, what comes in its place, and what the check then says.
BROKEN = [
    (removal_knows_the_layout, LAYOUT, "<name>.timer", "<name>.time", "/etc/<name>.time is not in plugins"),
    (removal_knows_the_layout, LAYOUT, ", `<name>.timer`", "", "/etc/<name>.timer is not in docs"),
    (removal_knows_the_layout, LAYOUT, "`/srv/<name>/`", "`/srv/<name>`", "/srv/<name> is a directory, other than in"),
    (removal_table_is_current, TABLE, "| first", "| last", "run `make docs`"),
    (removal_table_is_current, TABLE, "<!-- table", "<!-- tab", "run `make docs`"),
]
