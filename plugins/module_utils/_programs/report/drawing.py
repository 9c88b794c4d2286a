# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plots as SVG, by pygal: lines and texts alone. The page's style sheet says how they look, in light and in dark."""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from ..._host.processes import load_library
from ..history import DAY
from .series import Line

# In units of the drawing, of which a page has a few more than pixels, and a phone a few less.
_WIDTH, _HEIGHT, _STRIP = 400, 190, 100
_FONT = 11
_MARGIN, _RIGHT, _DOT = 3, 14, 4
_FEWEST_MARKS, _MOST_MARKS = 3, 6
_ROOM = 1.08
_LEAST = 1e-6
# Seconds between two marks of the time.
_STEPS = (600, 1800, 3600, 2 * 3600, 6 * 3600, DAY, 2 * DAY, 7 * DAY)


def draw(lines: Sequence[Line], since: float, now: float, title: str, top: float | None = None) -> str:
    """The lines on a scale from 0 up."""
    highest = top or max(line.peak for line in lines) * _ROOM
    scale = (0, highest if highest > _LEAST else 1.0)
    return _drawn(since, now, lines, title, {"height": _HEIGHT, "range": scale, "show_dots": False})


def draw_strip(rows: Sequence[str], lines: Sequence[Line], since: float, now: float, title: str) -> str:
    """What happened, in rows from above: dots, and a line for what lasted."""
    # pygal takes each letter for a narrow one
    wide = max(sum(unicodedata.east_asian_width(letter) == "W" for letter in name) for name in rows)
    options = {
        "height": _STRIP,
        "range": (0.5, len(rows) + 0.5),
        "y_labels": [{"label": name, "value": len(rows) - number} for number, name in enumerate(rows)],
        "margin_left": _MARGIN + wide * _FONT // 2,
        "show_dots": True,
        "dots_size": _DOT,
    }
    return _drawn(since, now, lines, title, options)


def _drawn(since: float, now: float, lines: Sequence[Line], title: str, options: Mapping[str, Any]) -> str:
    pygal, styles = load_library("pygal", "python3-pygal"), load_library("pygal.style", "python3-pygal")
    chart = pygal.XY(
        width=_WIDTH,
        xrange=(since, now),
        x_labels=list(_marks(since, now)),
        style=styles.Style(label_font_size=_FONT, major_label_font_size=_FONT),
        css=(),
        js=(),
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        spacing=4,
        allow_interruptions=True,
        truncate_label=-1,
        min_scale=_FEWEST_MARKS,
        max_scale=_MOST_MARKS,
        y_labels_major_count=0,
        x_labels_major_count=0,
        **{"margin": _MARGIN, "margin_right": _RIGHT, **options},
    )
    chart.add_xml_filter(lambda root: _bare(root, title, [line.look for line in lines]))
    for line in lines:
        chart.add("", [(min(max(time, since), now), value) for time, value in line.values])
    return str(chart.render(is_unicode=True))


def _marks(since: float, now: float) -> Iterator[dict[str, Any]]:
    """Whole hours of the day, or days of the month, in the host's own time."""
    step = next((step for step in _STEPS if now - since <= step * _MOST_MARKS), _STEPS[-1])
    midnight = datetime.datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    latest = int((now - midnight.timestamp()) // step)
    for number in range(latest, latest - _MOST_MARKS - 1, -1):
        moment = midnight + datetime.timedelta(seconds=number * step)
        if moment.timestamp() >= since:
            yield {"label": moment.strftime("%H:%M" if step < DAY else "%m-%d"), "value": moment.timestamp()}


def _bare(root: Element, title: str, looks: Sequence[str]) -> Element:
    """Without the library's own style sheet, script, title and tooltips; named for who can't see it."""
    unwanted = ("script", "style", "desc", "title", "defs")
    for parent in list(root.iter()):
        for child in list(parent):
            if (
                child.tag in unwanted
                or child.get("class", "")
                in (
                    "titles",
                    "plot tooltip-overlay",
                    "plot text-overlay",
                )
                or not isinstance(child.tag, str)
            ):
                parent.remove(child)
    for group in root.iter("g"):
        names = group.get("class", "").split()
        if names[:1] == ["series"]:
            group.set("class", f"series look-{looks[int(names[1].removeprefix('serie-'))]}")
    del root.attrib["id"]
    root.set("role", "img")
    root.set("aria-label", title)
    return root
