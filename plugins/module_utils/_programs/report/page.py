# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of the facts, in one language. Jinja escapes whatever is put in; only our own drawings are markup."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, rank
from ..._host.processes import load_library
from ..._service.deployments import SUCCEEDED
from ..codes import LANGUAGES
from ..display import STATES, level_of
from ..records import mapping, mappings, number
from ..words import check_name, duration, words_of
from . import series
from .drawing import draw, draw_strip
from .facts import Facts
from .series import SPANS, Plot, Points
from .story import ROWS, Happening, happenings, lines
from .style import STYLE
from .template import PAGE
from .texts import TEXTS

_STATUSES = (CRITICAL, UNKNOWN, WARNING, OK)
_DIAGNOSE = "diagnose."
_SHOWN_ROWS, _MOST_ROWS = 12, 100
_MOST_FINDINGS = 500
_LONGEST_TEXT = 600
_LANGUAGE_TAGS = {"en": "en", "zh": "zh-CN"}
_CAPTIONS = {"day": "last_day", "weeks": "four_weeks"}


@dataclass(frozen=True)
class _Tile:
    name: str
    value: str
    notes: Sequence[str] = ()
    level: str = ""


class Page:
    """Makes the page of the facts."""

    def __init__(self, facts: Facts, language: str) -> None:
        self._facts = facts
        self._language = language
        self._number = LANGUAGES.index(language)
        known = {str(problem.get("key")) for problem in mappings(facts.status.get("problems"))}
        self._happened = happenings(facts.events, known if facts.status else None)

    def render(self) -> str:
        """Raises MissingLibraryError."""
        jinja2 = load_library("jinja2", "python3-jinja2")
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        safe = load_library("markupsafe", "python3-markupsafe").Markup
        wrong, missed = self._wrong(), list(self._missed())
        level = max([level_of(self._facts.status, self._facts.findings or ()), *_statuses(wrong)], key=rank)
        return str(
            environment.from_string(PAGE).render(
                t=self.text,
                lang=_LANGUAGE_TAGS[self._language],
                style=safe(STYLE),
                verdict="healthy_but" if level == OK and missed else level,
                level=max([level, *_statuses(missed)], key=rank),
                head=self._head(),
                tiles=list(self._tiles()),
                wrong=[*wrong, *missed],
                latest=list(self._latest()),
                shown=_SHOWN_ROWS,
                strips=list(self._strips(safe)),
                plots=self._plots(safe),
                database=self._database(),
                findings=list(self._findings()),
            )
        )

    def text(self, key: str, **values: Any) -> str:
        own = {"service": self._facts.service, "host": self._facts.host}
        return TEXTS[key][self._number].format(**{**own, **values})

    def _head(self) -> list[str]:
        status, findings = self._facts.status, self._facts.findings
        state = self._state()
        lines = [self.text("made", time=_clock(self._facts.now, zone=True))]
        since = number(status.get("since"))
        lines.append(
            self.text("silent")
            if state is None
            else self.text("state", state=self.text(state), time=_clock(since or self._facts.now))
        )
        if not findings:
            return [*lines, self.text("no_diagnosis")]
        counted = Counter(_status(finding) for finding in findings)
        counts = [
            self.text("count", n=counted[one], status=self.text(f"status_{one}")) for one in _STATUSES if counted[one]
        ]
        return [*lines, self.text("checks", counts=self.text("comma").join(counts))]

    def _state(self) -> str | None:
        """None where the watchdog is silent."""
        state = self._facts.status.get("state")
        return state if isinstance(state, str) and state in STATES else None

    def _level(self) -> str:
        return STATES.get(self._state() or "", UNKNOWN)

    def _wrong(self) -> list[dict[str, str]]:
        """The worst first, of this moment. What the diagnosis has found is said once, in its own words."""
        state, findings = self._state(), self._facts.findings
        found = []
        if self._facts.missing:
            advice = self.text("no_history_advice", error=_cut(self._facts.missing))
            found.append({"status": UNKNOWN, "name": self.text("no_history"), "message": advice})
        if state is None:
            found.append(self._problem("watchdog_silent", UNKNOWN))
        elif state == "paused":
            found.append(self._problem("paused", WARNING))
        problems = mappings(self._facts.status.get("problems"))
        found += self._unreported({str(problem.get("key")) for problem in problems})
        # one that is open still is listed as such below, also where the diagnosis of this moment finds nothing any more
        said = {f"{_DIAGNOSE}{finding.get('check')}" for finding in findings or () if _status(finding) != OK}
        for problem in problems:
            key, severity = str(problem.get("key")), problem.get("severity")
            if severity in (WARNING, CRITICAL) and key not in said:
                name = self._named(str(problem.get("code")), key)
                found.append({"status": str(severity), "name": name, "message": _cut(problem.get("message"))})
        for finding in findings or ():
            if (status := _status(finding)) != OK:
                found.append({"status": status, "name": self._check(finding), "message": _cut(finding.get("message"))})
        return sorted(found, key=lambda item: -rank(item["status"]))[:_MOST_ROWS]

    def _missed(self) -> Iterator[dict[str, str]]:
        for tile in self._objectives():
            if tile.level != OK:
                message = self.text("missed", value=tile.value, promised=tile.notes[0])
                yield {"status": tile.level, "name": tile.name, "message": message}

    def _unreported(self, known: Container[str]) -> Iterator[dict[str, str]]:
        """What the watchdog has seen, but not often enough to report it."""
        for target, entry in mapping(self._facts.status.get("targets")).items():
            condition = mapping(mapping(entry).get("condition"))
            if condition and target not in known:
                name = self._named(str(condition.get("code")), target)
                yield {"status": self._level(), "name": name, "message": _cut(condition.get("message"))}

    def _problem(self, code: str, status: str) -> dict[str, str]:
        name, advice = words_of(code, self._language) or (code, "")
        return {"status": status, "name": name, "message": advice.replace("{service}", self._facts.service)}

    def _tiles(self) -> Iterator[_Tile]:
        day, weeks = self._facts.day, self._facts.weeks
        requests, in_weeks = series.requests_of(day), series.requests_of(weeks)
        if requests:
            yield _Tile(
                self.text("requests_figure"),
                f"{sum(requests.values()):,.0f}",
                self._in_weeks(f"{sum(in_weeks.values()):,.0f}"),
            )
        yield from self._objectives()
        if (latency := series.quantile(day, 0.95)) is not None:
            before = series.quantile(weeks, 0.95)
            yield _Tile(self.text("latency_figure"), _seconds(latency), self._in_weeks(_seconds(before or latency)))
        if (share := series.share(day, "healthy")) is not None:
            level = OK if share > 99.9 else WARNING  # noqa: PLR2004 - what is not rounded to 100 %
            yield _Tile(
                self.text("healthy_figure"),
                _percent(share),
                self._in_weeks(_percent(series.share(weeks, "healthy"))),
                level,
            )
        for key, kinds in (("recovery_figure", ("action",)), ("alerts_figure", ("problem",))):
            times = [one.event.time for one in self._happened if one.event.kind in kinds]
            count = sum(time >= self._facts.now - SPANS[0].seconds for time in times)
            yield _Tile(self.text(key), str(count), self._in_weeks(str(len(times))), WARNING if count else OK)
        if release := mapping(self._facts.status.get("live")).get("release"):
            times = [event.time for event in self._facts.events if (event.key, event.code) == (release, SUCCEEDED)]
            notes = [self.text("since", time=_clock(times[-1]))] if times else []
            yield _Tile(self.text("release_figure"), _cut(release), notes)

    def _objectives(self) -> Iterator[_Tile]:
        """How the last day was beside what is promised."""
        yield from self._objective("available_figure", "requests.5xx", "objective.availability", series.answered)
        yield from self._objective("fast_figure", "requests.slow", "objective.latency", series.timed)

    def _objective(self, key: str, bad: str, objective: str, of: Callable[[Points], float]) -> Iterator[_Tile]:
        """The share of the requests, as `of` counts them, that were as promised."""
        promised = series.latest(self._facts.day, objective)
        shares = []
        for points in (self._facts.day, self._facts.weeks):
            shares.append(100 * (1 - series.total(points, bad) / count) if (count := of(points)) else None)
        if promised is None or shares[0] is None:
            return
        slow = series.latest(self._facts.day, "objective.latency_threshold") or 0.0
        notes = [self.text("promised", value=_percent(promised)), *self._in_weeks(_percent(shares[1]))]
        level = OK if shares[0] >= promised else WARNING
        yield _Tile(self.text(key, n=f"{slow:g}"), _percent(shares[0]), notes, level)

    def _in_weeks(self, value: str) -> list[str]:
        return [self.text("in_weeks", value=value)]

    def _latest(self) -> Iterator[dict[str, str]]:
        """The latest first."""
        looks = {kind: look for _key, look, kinds in ROWS for kind in kinds}
        for one in reversed(self._happened[-_MOST_ROWS:]):
            kind, look, lasted = f"{one.event.kind}_kind", looks.get(one.event.kind, ""), ""
            look = look if one.is_fine else CRITICAL
            if one.event.kind == "problem":
                kind, look = f"status_{one.severity}", one.severity
                seconds = (one.until or self._facts.now) - one.event.time
                lasted = self.text("lasted", time=duration(seconds, self._language)) if seconds else ""
                lasted = self.text("comma").join([lasted, self.text("still")]) if one.is_open else lasted
            yield {
                "time": _clock(one.event.time),
                "kind": self.text(kind),
                "look": look,
                "name": self._name(one),
                "lasted": lasted,
                "message": "" if one.event.message == one.event.key else _cut(one.event.message),
            }

    def _name(self, one: Happening) -> str:
        event = one.event
        if event.kind == "deployment":
            return self.text("release_event" if one.is_fine else "failed_event", name=_cut(event.key))
        return self.text("restart_event") if event.kind == "restart" else self._named(event.code, event.key)

    def _named(self, code: str, key: str) -> str:
        found = words_of(code, self._language)
        name = found[0] if found else _cut(code or key)
        return name.replace("{check}", check_name(_cut(key.removeprefix(_DIAGNOSE)), self._language))

    def _strips(self, safe: Callable[[str], str]) -> Iterator[dict[str, Any]]:
        for span in SPANS:
            caption = self.text(_CAPTIONS[span.name])
            since, now = self._facts.now - span.seconds, self._facts.now
            drawn, names = list(lines(self._happened, since, now)), [self.text(row[0]) for row in ROWS]
            title = f"{self.text('happened')}, {caption}"
            yield {"caption": caption, "drawing": safe(draw_strip(names, drawn, since, now, title))}

    def _plots(self, safe: Callable[[str], str]) -> list[dict[str, Any]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for span in SPANS:
            points = self._facts.points[span.name]
            since = series.since(points, span, self._facts.now)
            if since is None:
                continue
            for plot in series.plots(points, span.width):
                figure = self._figure(plot, self.text(_CAPTIONS[span.name]), since, safe)
                found.setdefault(plot.name, []).append(figure)
        return [{"title": self.text(name), "figures": figures} for name, figures in found.items()]

    def _figure(self, plot: Plot, caption: str, since: float, safe: Callable[[str], str]) -> dict[str, Any]:
        title = f"{self.text(plot.name)}, {caption}"
        entries = []
        for line in plot.lines:
            key = "level" if line.look == "limit" else "peak"
            entries.append(
                {
                    "look": line.look,
                    "text": self.text(key, name=self.text(line.label, n=line.name), value=_short(line.peak)),
                }
            )
        drawing = draw(plot.lines, since, self._facts.now, title, plot.top)
        return {"caption": caption, "drawing": safe(drawing), "legend": entries}

    def _database(self) -> list[dict[str, str]]:
        """What was found now, and in the last day or two what is not there any more."""
        now = [finding for finding in self._facts.findings or () if _is_of_statements(finding.get("check"))]
        known = {finding.get("check") for finding in now}
        earlier = [
            {**worst, "check": check, "seen": _clock(number(worst.get("time")) or self._facts.now)}
            for check, worst in self._facts.worst.items()
            if _is_of_statements(check) and check not in known and _status(worst) != OK
        ]
        found = [*({**finding, "seen": self.text("now")} for finding in now), *earlier]
        return [
            {
                "status": _status(finding),
                "name": self._kind(str(finding.get("check"))),
                "seen": str(finding["seen"]),
                "message": _cut(finding.get("message")),
            }
            for finding in sorted(found, key=lambda finding: -rank(_status(finding)))[:_MOST_ROWS]
        ]

    def _kind(self, check: str) -> str:
        part = check.split(".")
        key = part[1] if part[0] == "statements" and len(part) > 1 else part[0]
        return (
            self.text(key)
            if key in ("slow", "n_plus_one", "scans", "window", "indexes")
            else self._check({"check": check})
        )

    def _findings(self) -> Iterator[dict[str, str]]:
        for finding in (self._facts.findings or ())[:_MOST_FINDINGS]:
            value = number(finding.get("value"))
            unit = _cut(finding.get("unit") or "")
            yield {
                "status": _status(finding),
                "name": self._check(finding),
                "value": "" if value is None else f"{value:,g} {unit}".strip(),
                "message": _cut(finding.get("message")),
            }

    def _check(self, finding: Mapping[str, Any]) -> str:
        return check_name(_cut(finding.get("check")), self._language)


def _statuses(items: Iterable[Mapping[str, str]]) -> list[str]:
    return [item["status"] for item in items]


def _status(finding: Mapping[str, Any]) -> str:
    status = finding.get("status")
    return status if isinstance(status, str) and status in _STATUSES else UNKNOWN


def _is_of_statements(check: Any) -> bool:
    return str(check).partition(".")[0] in ("statements", "indexes")


def _clock(time: float, *, zone: bool = False) -> str:
    """In the host's own time zone."""
    try:
        moment = datetime.datetime.fromtimestamp(time).astimezone()
    except (ValueError, OverflowError, OSError):
        return "?"
    return moment.strftime("%Y-%m-%d %H:%M %Z" if zone else "%Y-%m-%d %H:%M")


def _cut(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}..."


def _percent(value: float | None) -> str:
    """Not rounded up to 100."""
    if value is None:
        return "?"
    return "100 %" if value >= 100 else f"{min(value, 99.99):.2f} %"  # noqa: PLR2004 - percent


def _seconds(value: float) -> str:
    return f"{1000 * value:,.0f} ms" if value < 1 else f"{value:.1f} s"


def _short(value: float) -> str:
    """Three digits, at most one of them after the point where there are more before."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
