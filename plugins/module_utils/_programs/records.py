# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dataclasses out of JSON: the settings that a role has written, and what a program has, by dataclasses.asdict."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .._host.small_file import read_json, read_small

_T = TypeVar("_T")
_LARGEST_STATUS = 1024 * 1024


def load(kind: type[_T], path: Path, limit: int) -> _T:
    """What a file of at most `limit` bytes holds. Raises ValueError where it holds something else, else OSError."""
    try:
        return decode(kind, read_json(path, limit))
    except RecursionError as error:
        raise ValueError("it has too many brackets") from error


def load_or_new(kind: type[_T], path: Path, limit: int) -> _T:
    """The same; a new one where the file is damaged, or can't be read."""
    try:
        return load(kind, path, limit)
    except (OSError, ValueError):
        return kind()


def read_status(path: Path) -> tuple[int, Mapping[str, Any]]:
    """When the watchdog last wrote its status, in nanoseconds since the epoch, and the status.

    0 and nothing where there is none; nothing where it is something else.
    """
    try:
        content, seen = read_small(path, _LARGEST_STATUS)
    except OSError:
        return 0, {}
    try:
        return seen.st_mtime_ns, mapping(json.loads(content))
    except (ValueError, RecursionError):
        return seen.st_mtime_ns, {}


def number(value: Any) -> float | None:
    """A finite number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """An object as it is, anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def decode(kind: type[_T], content: Any) -> _T:
    """The content as an instance of that dataclass. Raises ValueError where it is none.

    A field with a default value may be missing, as in the file of an earlier version, but not one with a factory: what
    lacks these is damaged. Unknown fields are left out.
    """
    try:
        return typing.cast(_T, _value(kind, content))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _value(kind: Any, content: Any) -> Any:
    arguments, origin = typing.get_args(kind), typing.get_origin(kind) or kind
    if kind is Any:
        return content
    if dataclasses.is_dataclass(kind):
        return _instance(kind, content)
    if origin is types.UnionType:
        return content if isinstance(content, kind) else _value(arguments[0], content)
    if issubclass(origin, Mapping):
        return {str(key): _value(arguments[1], value) for key, value in content.items()}
    if issubclass(origin, list | tuple):
        if not isinstance(content, list):
            raise TypeError(f"{content!r:.40} is no list")
        return origin(_value(arguments[0], value) for value in content)
    return kind(content)


def _instance(kind: Any, content: Any) -> Any:
    if not isinstance(content, Mapping):
        raise TypeError(f"{content!r:.40} is no object")
    kinds = typing.get_type_hints(kind)
    names = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name in content or field.default is dataclasses.MISSING
    ]
    return kind(**{name: _value(kinds[name], content[name]) for name in names})
