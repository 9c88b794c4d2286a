# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value must be beyond its type.

A role's vars map a variable, or a place inside it, to a rule: ``nginx_port: {rule: port}``,
``nginx_listeners[].port: {rule: port}`` (each item of a list), ``nginx_headers{}: ...`` (each value of a dictionary).
Every kind takes ``also``, values that pass besides, and ``refused``, values that don't pass in spite of the rule.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from ...module_utils._host.errors import StabilityError
from ...module_utils._net.http import Request, RequestError
from .places import controller_path

Rule = t.Mapping[str, t.Any]

_MOST, _MOST_PERCENT = 10**9, 100
_LAST_PORT = 65535
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_SECONDS = (0, 59)
_CRON_WORDS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
# An application that somebody installed by hand may have its logs in the others of /usr.
_SYSTEM_PATH = re.compile(
    r"/+(bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|tmp|usr(?!/+(local|src)/)|var/run|var/tmp)(/|$)"
)
_CRON_STEP = re.compile(r"(\*|\d{1,2}(?:-\d{1,2})?)(?:/(\d{1,2}))?")

# Rules that are a regular expression over the whole value, and the words that tell a person what it wants.
_PATTERNS = {
    "size": (r"[1-9][0-9]{0,8}[KMG]", "a whole number followed by K, M or G, for example 512M"),
    "name": (
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}",
        "1 to 64 letters, digits, _, . and -, not beginning with a dot or dash",
    ),
    "duration": (r"[0-9]{1,9}(ms|s|m|h|d)", "a whole number followed by ms, s, m, h or d, for example 60s"),
    "identifier": (
        r"[a-z_][a-z0-9_]{0,62}",
        "1 to 63 lower-case letters, digits and _, not beginning with a digit",
    ),
    "host_name": (r"[A-Za-z0-9.-]*", "a host name"),
    "checksum": (
        r"sha256:[0-9a-fA-F]{64}|sha384:[0-9a-fA-F]{96}|sha512:[0-9a-fA-F]{128}",
        "sha256: (or sha384:, sha512:) and the hex digits",
    ),
    "certificate": (
        r"\s*-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*",
        "PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----",
    ),
    "private_key": (
        r"\s*-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----\s*",
        "PEM, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----",
    ),
    "database_role": (
        r"(?!(pg_.*|postgres|public|none)$)[a-z_][a-z0-9_]{0,62}",
        "1 to 63 lower-case letters, digits and _, and none of PostgreSQL's own roles (postgres, pg_...)",
    ),
    "own_path": (
        # below a directory of the system nothing is made, and nobody's owner or mode changed
        r"(?!/(bin|boot|dev|etc|lib|lib64|proc|root|sbin|sys|usr)/)(?!.*/\.\.?(/|$))/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+",
        "an absolute path without .., of letters, digits, dots and dashes, in a directory that is not the system's",
    ),
    "url_path": (r"/[A-Za-z0-9_.~!&()*+,=:@%/-]*", "a path beginning with /, for example /api/health"),
}


def expectation(value: t.Any, rule: Rule, inventory_directory: str = "") -> str | None:
    """Return what ``value`` should have been, or None when it satisfies ``rule``.

    ``inventory_directory`` is where a relative path on the controller is looked for; see ``controller_path``.
    """
    also = rule.get("also", ())
    if value in also:
        return None
    if value in rule.get("refused", ()):
        return "another one: this one belongs to the system or to another program"
    expected = _expectation(value, rule, inventory_directory)
    return expected and expected + "".join(f", or {word if word != '' else 'empty'}" for word in also)


def _expectation(value: t.Any, rule: Rule, inventory_directory: str) -> str | None:
    kind = rule.get("rule", "")
    if kind in _SPANS:
        return _SPANS[kind](value, rule)
    if kind == "pattern" or kind in _PATTERNS:
        regex, expected = _PATTERNS.get(kind) or (rule["regex"], rule["expected"])
        return None if re.fullmatch(regex, str(value)) else expected
    if kind in _ON_CONTROLLER:
        return _missing(str(value), kind, inventory_directory)
    if kind not in _TESTS:
        known = sorted([*_SPANS, *_TESTS, *_PATTERNS, *_ON_CONTROLLER, "pattern"])
        raise StabilityError(f"unknown rule {kind!r}; there are {', '.join(known)}")
    test, expected = _TESTS[kind]
    return None if test(str(value)) else expected


def select(value: t.Any, path: str) -> t.Iterator[tuple[str, t.Any]]:
    """Yield the label and the value of each place that ``path`` (``name``, ``name[].key``, ``name{}``) leads to.

    A key that an item doesn't have, and a value that is None, is optional and passed over.
    """
    name, *steps = re.findall(r"^[^.\[{]+|\[\]|\{\}|\.[^.\[{]+", path)
    yield from _select(value, steps, name)


def _select(value: t.Any, steps: list[str], label: str) -> t.Iterator[tuple[str, t.Any]]:
    if value is None:
        return
    if not steps:
        yield label, value
        return
    step, rest = steps[0], steps[1:]
    if step == "[]" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _select(item, rest, f"{label}[{index}]")
    elif step == "{}" and isinstance(value, dict):
        for key, item in value.items():
            yield from _select(item, rest, f"{label}.{key}")
    elif step.startswith(".") and isinstance(value, dict):
        yield from _select(value.get(step[1:]), rest, f"{label}{step}")


def _whole(value: t.Any) -> int | None:
    """Return a whole number that may be written as text (as -e and environments do), or None."""
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,15}", str(value)):
        return None
    return int(value)


def _integer(value: t.Any, rule: Rule) -> str | None:
    return _within(_whole(value), rule, "a whole number")


def _number(value: t.Any, rule: Rule) -> str | None:
    """As _integer, of numbers that the type has made sure of."""
    return _within(float(value), rule, "a number")


def _within(number: float | None, rule: Rule, words: str) -> str | None:
    low, high = rule.get("min"), rule.get("max")
    if number is not None and (low is None or number >= low) and (high is None or number <= high):
        return None
    if low is not None and high is not None:
        return f"{words}, {low} to {high}"
    span = words if low is None else f"{words}, {low} or more"
    return f"{span}, at most {high}" if high is not None else span


def _is_port(text: str) -> bool:
    number = _whole(text)
    return number is not None and 1 <= number <= _LAST_PORT


def _is_path(text: str) -> bool:
    """What logrotate, systemd and shells take for one path and nothing else."""
    plain = text.isprintable() and not re.search(r"[\s\"'\\{}#%$;]", text)
    return text.startswith("/") and ".." not in text.split("/") and plain and text.strip("/") != ""


def _is_data_path(text: str) -> bool:
    return _is_path(text) and not _SYSTEM_PATH.match(text)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return good and not re.search(r"[\s\"'\\\x00-\x1f]", text)


def _is_asked_url(text: str) -> bool:
    """Whether what asks on the host would take it, which sends no login and shows the address in logs."""
    try:
        Request(text).target()
    except RequestError:
        return False
    return _is_url(text)


def _is_cron(text: str) -> bool:
    return text in _CRON_WORDS or _has_cron_fields(text, _CRON_RANGES)


def _is_cron_of_pm2(text: str) -> bool:
    """PM2's have seconds before the other fields, if wanted, and no words."""
    return _has_cron_fields(text, _CRON_RANGES) or _has_cron_fields(text, (_CRON_SECONDS, *_CRON_RANGES))


def _has_cron_fields(text: str, spans: t.Sequence[tuple[int, int]]) -> bool:
    fields = text.split(" ")
    return len(fields) == len(spans) and all(map(_cron_field, fields, *zip(*spans, strict=True)))


def _cron_field(field: str, low: int, high: int) -> bool:
    for part in field.split(","):
        match = _CRON_STEP.fullmatch(part)
        if not match or (match[2] is not None and int(match[2]) == 0):
            return False
        ends = [int(end) for end in match[1].split("-")] if match[1] != "*" else []
        if not all(low <= end <= high for end in ends) or ends != sorted(ends):
            return False
    return True


def _thresholds(value: t.Any, rule: Rule) -> str | None:
    """What replaces some of the thresholds that the rule has as `known`: {name: {warning: 1, critical: 2}}.

    Where the known critical one is the smaller one, less is worse; a percentage is at most 100.
    """
    known: dict[str, dict[str, float]] = rule["known"]
    if not isinstance(value, dict):
        return "a dictionary such as {disk_percent: {warning: 90}}"
    for name, changed in value.items():
        if name not in known:
            return f"no {name} in it, but {', '.join(known)}"
        levels = known[name] | (changed if isinstance(changed, dict) else {"": changed})
        if levels.keys() != known[name].keys():
            return f"{name} to be a dictionary of warning, critical or both"
        most = _MOST_PERCENT if name.endswith("_percent") else _MOST
        for level, number in levels.items():
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number <= most:
                return f"{name}.{level} to be a number above 0, at most {most}"
        falls = known[name]["critical"] < known[name]["warning"]
        if (levels["critical"] < levels["warning"]) != falls or levels["critical"] == levels["warning"]:
            side = "above" if falls else "below"
            return f"{name}.warning ({levels['warning']}) to be {side} {name}.critical ({levels['critical']})"
    return None


# Rules that words of their own explain, which depend on the rule.
_SPANS: dict[str, t.Callable[[t.Any, Rule], str | None]] = {
    "integer": _integer,
    "number": _number,
    "thresholds": _thresholds,
}


def _missing(text: str, kind: str, inventory_directory: str) -> str | None:
    """What is expected on the controller where it is not there, and for a path that was not absolute where that is."""
    test, expected = _ON_CONTROLLER[kind]
    if kind == "archive" and "://" in text:
        return None if re.fullmatch(r"https://\S+", text) else expected
    try:
        place = controller_path(text, inventory_directory)
        if test(place):
            return None
    except OSError:
        # a name that is too long for any file system
        return expected
    return expected if place == text else f"{expected}, but at {place} there is none"


def _is_certificate_file(text: str) -> bool:
    try:
        return bool(ssl.create_default_context(cafile=text).cert_store_stats()["x509"])
    except (OSError, ValueError, ssl.SSLError):
        return False


# Rules that are about what is at a path on the controller, and the words that tell a person what they want there.
_ON_CONTROLLER: dict[str, tuple[t.Callable[[str], bool], str]] = {
    "archive": (lambda path: Path(path).is_file(), "an https address or a file that exists on the controller"),
    "certificate_file": (_is_certificate_file, "a file on the controller with certificates as PEM"),
    "directory": (lambda path: Path(path).is_dir(), "a directory that exists on the controller"),
    "file": (lambda path: Path(path).is_file(), "a file that exists on the controller"),
}


# Rules that a test of the text decides, and the words that tell a person what it wants.
_TESTS: dict[str, tuple[t.Callable[[str], bool], str]] = {
    "cron": (_is_cron, "five cron fields, for example '0 * * * *', or @hourly, @daily, ..."),
    "cron_of_pm2": (_is_cron_of_pm2, "five or six cron fields, for example '0 3 * * *'"),
    "data_path": (
        _is_data_path,
        "an absolute path without .., spaces, quotes and the like, in a directory neither of the system nor temporary",
    ),
    "network": (_is_network, "an IP address or a network such as 10.0.0.0/8, its host part zero"),
    "path": (_is_path, "an absolute path without .., spaces, quotes and the like"),
    "port": (_is_port, "a port, 1 to 65535"),
    "registry": (_is_url, "an http:// or https:// address"),
    "url": (_is_asked_url, "an http:// or https:// address without a login in it"),
}
