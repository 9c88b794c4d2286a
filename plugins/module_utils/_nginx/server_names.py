# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server names a host's sites have on which ports: of two sites with the same one nginx serves the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .._host.errors import StabilityError
from .connections import MAIN
from .debian import DEFAULT_SITE, default_site_is_untouched
from .ledger import Ledger
from .plan import Desired
from .staging import Layout

# A comment, a sign, a quoted word, or a word, in which ${name} is no block.
_TOKEN = re.compile(
    r"""#[^\n]*|[{};]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\$\{[^}]*\}|\\.|[^\s{};\\])+""",
    re.DOTALL,
)
# An address of its own, or a socket, is another place than all addresses.
_EVERYWHERE = re.compile(r"(?:\*:|0\.0\.0\.0:)?(\d+)")
_EVERY_NAME = "_"
Served = tuple[int, str]


def refuse_taken_names(layout: Layout, desired: Desired) -> None:
    """StabilityError when another file has one of the site's names on one of its ports.

    What the site serves itself already is not asked for again: whoever took such a name later has had nginx's warning.
    What it takes the place of, and Debian's default site as long as nobody changed it, will be gone.
    """
    ledger, files = Ledger(layout.state, desired.name), _site_files(layout)
    own = ledger.own.files
    served = {pair for path in files if path in own for pair in served_names(layout.text_of(path))}
    wanted = {(port, name.lower()) for port in desired.ports for name in desired.server_names} - served
    if not wanted:
        return
    gone = {*own, *desired.absent, *([DEFAULT_SITE] if default_site_is_untouched(layout.config) else [])}
    problems = []
    for path in files:
        for port, name in sorted(wanted.intersection(served_names(layout.text_of(path))) if path not in gone else ()):
            holder = ledger.holder(path)
            who = f"the service {holder} ({layout.config / path})" if holder else str(layout.config / path)
            what = "every other name (_)" if name == _EVERY_NAME else name
            problems.append(f"{what} on port {port} is served by {who} already.")
    if problems:
        raise StabilityError(
            f"nginx_server_names: {' '.join(problems)} Give this site other names, or another port (nginx_port,"
            " nginx_tls_port). Nothing was changed."
        )


def _site_files(layout: Layout) -> list[str]:
    """Where sites are in Debian's layout, relative to the configuration; what these include has none."""
    found = [layout.config / MAIN, *layout.config.glob("conf.d/*.conf"), *layout.config.glob("sites-enabled/*")]
    return sorted(str(path.relative_to(layout.config)) for path in found if path.is_file())


def served_names(text: str) -> Iterator[Served]:
    """Each port with each name that a configuration's servers have on all addresses; `_` of the port's default one."""
    for directives in _servers(text):
        names = {name for words in directives if words[0] == "server_name" for name in _names(words[1:])}
        listens = [words[1:] for words in directives if words[0] == "listen" and words[1:]] or [["80"]]
        for address, *options in listens:
            if place := _EVERYWHERE.fullmatch(address):
                is_default = {"default_server", "default"} & set(options)
                yield from ((int(place[1]), name) for name in {*names, *([_EVERY_NAME] if is_default else [])})


def _names(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        name = word.lower()
        yield from (name[1:], f"*{name}") if name.startswith(".") else (name,)


def _servers(text: str) -> Iterator[list[list[str]]]:
    """The directives of each server of http, without those of the blocks in it."""
    blocks: list[str] = []
    words: list[str] = []
    directives: list[list[str]] = []
    for token in _TOKEN.findall(text):
        if token.startswith("#"):
            continue
        if token == "{":
            blocks.append(words[0] if words else "")
            if _is_server(blocks):
                directives = []
            words = []
        elif token == "}":
            if _is_server(blocks):
                yield directives
            del blocks[-1:]
            words = []
        elif token == ";":
            if words and _is_server(blocks):
                directives.append(words)
            words = []
        else:
            words.append(token.strip("\"'"))


def _is_server(blocks: list[str]) -> bool:
    # a file of conf.d or sites-enabled is a part of http
    return blocks in (["server"], ["http", "server"])
