# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages in English or Chinese, from notices. Values are put into texts as they are, and can't be code or markup."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..codes import LANGUAGES, Code
from ..words import check_name, duration, moment, words_of
from .problems import FLAPPING_QUIET, Notice
from .translations import LABELS, PHRASES

_LONGEST = 500
# WeCom's robots take texts of 2048 bytes, and Discord's 2000 characters: the shortest of all.
_MOST_BYTES = 1600
_PLACE = re.compile(r"\{([a-z_]+)\}")
_BEFORE_STOP = re.compile(r" (?=[;.](?: |$)|[；。])")
# What chat services take for a mention, a link or markup. The second of @ is a space without width.
_NEUTRAL = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "@\u200b", "`": "'"})


@dataclasses.dataclass(frozen=True)
class Text:
    title: str
    body: str


class Writer:
    """Writes for one service on one host in one language; `of_fleet` where the hosts are in the problems' keys."""

    def __init__(self, service: str, host: str, language: str, of_fleet: bool = False) -> None:
        self._own = {"service": service, "host": host}
        self._language = language
        self._of_fleet = of_fleet
        number = LANGUAGES.index(language)
        self._labels = {label: words[number] for label, words in LABELS.items()}
        self._phrases = {phrase: words[number] for phrase, words in PHRASES.items()}

    def write(self, notice: Notice) -> Text:
        name, advice = self._words(notice)
        host = self._host(notice)
        title = self._phrase("title" if host else "title_of_all", label=self._label(notice), name=name, host=host)
        return Text(title, "\n".join(line for line in self._body(notice, advice) if line))

    def sum_up(self, count: int, titles: list[str]) -> Text:
        shown = _latest(titles)
        older = count - len(shown)
        lines = [self._phrase("sum_body")]
        lines += [self._phrase("sum_older", count=older)] if older > 0 else []
        return Text(self._phrase("sum_title", count=count), "\n".join([*lines, *(f"- {title}" for title in shown)]))

    def limit_reached(self) -> str:
        return self._phrase("limit")

    def _host(self, notice: Notice) -> str:
        """Empty for what is of no single one."""
        host, slash, _what = notice.key.partition("/")
        return neutral(host) if self._of_fleet and slash else self._own["host"]

    def _words(self, notice: Notice) -> tuple[str, str]:
        """The name of what a notice is about, and what to do."""
        name, advice = self._explained(notice.code, notice.key)
        values = dict(notice.values)
        if notice.code == Code.FINDING:
            check = str(values.get("check") or notice.key.partition(".")[2])
            values["check"] = check_name(check, self._language)
            known = values.get("value") is not None and values.get("threshold") is not None
            advice = advice if known else ""
        # a value may have no unit
        shown = _BEFORE_STOP.sub("", fill(advice, {**values, **self._own}))
        return fill(name, {**values, **self._own}), shown

    def _explained(self, code: str, otherwise: str = "") -> tuple[str, str]:
        """Name and advice; for an unknown code the code itself."""
        return words_of(code, self._language) or (neutral(code or otherwise), "")

    def _label(self, notice: Notice) -> str:
        failed = notice.kind == "action" and notice.values.get("done") is False
        by_kind = self._labels.get("failed" if failed else notice.kind)
        return by_kind or self._labels.get(notice.severity, self._labels["warning"])

    def _body(self, notice: Notice, advice: str) -> list[str]:
        message = neutral(notice.message)
        details = self._phrase("details", message=message) if message else ""
        since = notice.time if notice.since is None else notice.since
        lasted = duration(notice.time - since, self._language)
        times = {"since": moment(since), "duration": lasted, "time": moment(notice.time)}
        quiet = {"quiet": duration(FLAPPING_QUIET, self._language), "count": notice.count}
        if notice.kind == "resolved":
            names = [self._explained(code)[0] for code in notice.actions]
            done = self._phrase("done", actions=self._phrases["comma"].join(names)) if names else ""
            return [self._phrase("lasted", **times), done]
        if notice.kind == "settled":
            line = self._phrase("settled_gone" if notice.severity == "info" else "settled_open", **quiet)
            return [line, self._phrase("at", **times)]
        address = neutral(str(notice.values.get("runbook") or "")) if self._of_fleet else ""
        runbook = self._phrase("runbook", address=address) if address else ""
        if notice.kind == "reminder":
            return [details, advice, runbook, self._phrase("since", **times)]
        flapping = self._phrase("flapping", **quiet) if notice.kind == "flapping" else ""
        return [details, advice, runbook, flapping, self._phrase("at", **times)]

    def _phrase(self, phrase: str, /, **values: Any) -> str:
        """Only our own texts are looked through for places: what is put in stays as it is."""
        own = {**self._own, **values}
        return _PLACE.sub(lambda place: str(own.get(place[1], place[0])), self._phrases[phrase])


def _latest(titles: Sequence[str]) -> list[str]:
    """As many of the last ones as every channel takes in one message; a refused one holds up all that follow."""
    shown: list[str] = []
    room = _MOST_BYTES
    for title in reversed(titles):
        room -= len(title.encode()) + len("- \n")
        if room < 0:
            break
        shown.insert(0, title)
    return shown


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The template with values in its places; nothing in a value is a place, and a missing one is a question mark."""
    return _PLACE.sub(lambda place: neutral(_shown(values.get(place[1], "?"))), template)


def neutral(text: str) -> str:
    """Without control characters, mentions and markup, and not too long."""
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    short = visible if len(visible) <= _LONGEST else visible[:_LONGEST] + "..."
    return short.translate(_NEUTRAL).strip()


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
