# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the list of what a service owns on a host, and the table that is made of it.

What lands on a host is in the list, and so is taken away, and the documents have what the list has. Run as a program,
this writes the table: `make docs`.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from document_checks import read
from project import ROOT

LAYOUT = "docs/layout-on-the-host.md"
TABLE = "docs/removing.md"
LIST = "plugins/module_utils/_service/footprint.py"
MARKED = re.compile(r"(<!-- table: what goes -->\n)(?:\|.*\n)*")


def documented(text: str) -> dict[str, bool]:
    """The paths in the first columns of the tables, and whether each is a directory, which a slash at its end says.

    A name without a directory is in that of the path before it.
    """
    found: dict[str, bool] = {}
    before = ""
    for row in re.findall(r"^\|(.*?)\|", text, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", row):
            path = name if name.startswith("/") else f"{before.rpartition('/')[0]}/{name}"
            before = path.rstrip("/*")
            found[before] = path.endswith("/")
    return found


def things(root: Path) -> list[Any]:
    """The list for a service called <name>, by the roles' defaults."""
    defined, name = runpy.run_path(str(root / LIST)), "<name>"
    service = defined["Service"](
        name=name,
        user="<user>",
        group="<user>",
        directory=f"/srv/{name}",
        log_directory=f"/var/log/{name}",
        run_directory=f"/run/{name}",
        alert_user=f"{name}-alert",
        acme_webroot=f"/var/www/{name}-acme",
        textfile_directory="/var/lib/prometheus/node-exporter",
        database="<database>",
        database_roles=("<roles>",),
    )
    found: list[Any] = defined["belongings"](service)
    return found


def shown(path: str) -> str:
    """As the documents write it."""
    return path.replace("/*/", "/<version>/")


def removal_knows_the_layout(root: Path) -> list[str]:
    """What lands on a host is in the list by which a service is removed (or is shared), and the other way round."""
    paths = documented(read(root, LAYOUT))
    listed = {shown(thing.path).rstrip("*"): thing.directory for thing in things(root) if thing.path.startswith("/")}

    def covers(place: str, path: str) -> bool:
        return path == place or path.startswith(f"{place}/")

    problems = [
        f"{LAYOUT}: {path} is not in {LIST}, so a removal would leave it"
        for path in paths
        if not any(covers(place, path) for place in listed)
    ]
    problems += [
        f"{LIST}: {place} is not in {LAYOUT}" for place in listed if not any(covers(place, path) for path in paths)
    ]
    return problems + [
        f"{LIST}: {place} is {'a' if is_directory else 'no'} directory, other than in {LAYOUT}"
        for place, is_directory in listed.items()
        if paths.get(place, is_directory) != is_directory
    ]


def removal_table_is_current(root: Path) -> list[str]:
    """The table of what goes is made of the list."""
    text = read(root, TABLE)
    sound = MARKED.search(text) and text == with_table(root, text)
    return [] if sound else [f"{TABLE}: the table differs from {LIST}; run `make docs`"]


def with_table(root: Path, text: str) -> str:
    """The document with the table as it should be: a row for what goes alike and is known alike, in removal's order."""
    rows: dict[tuple[str, str], list[str]] = {}
    for thing in sorted(things(root), key=lambda thing: list(type(thing.step)).index(thing.step)):
        goes = f"{thing.step.value}; data" if thing.data else thing.step.value
        rows.setdefault((goes, _known_by(thing)), []).append(f"`{shown(thing.path)}`")
    lines = ["| Goes | What | Known by |", "| --- | --- | --- |"]
    lines += [f"| {goes} | {', '.join(paths)} | {known} |" for (goes, known), paths in rows.items()]
    return MARKED.sub(lambda match: match[1] + "".join(f"{line}\n" for line in lines), text)


def _known_by(thing: Any) -> str:
    if thing.unless:
        return f"no such service in `{Path(thing.unless).parent}`"
    return " or ".join(f"`{mark}`" for mark in thing.marks) or "its name"


if __name__ == "__main__":
    (ROOT / TABLE).write_text(with_table(ROOT, read(ROOT, TABLE)), encoding="utf-8")
