# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An index as a play declares it, and the statement that makes it. Knows no server.

Names are quoted and mean exactly what was given. Expressions, conditions and operator classes are SQL; such a piece is
refused when it could end its place in the statement (a semicolon, a comment, an unbalanced parenthesis or quote).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..._host.errors import StabilityError
from ..client import quoted
from .catalog import Definition

# NAMEDATALEN - 1: the server cuts longer names off, and would then not find them under what was declared.
NAME_BYTES = 63
_ORDERS = {"asc": " ASC", "desc": " DESC", None: ""}
_NULLS = {"first": " NULLS FIRST", "last": " NULLS LAST", None: ""}
_PIECE = re.compile(
    r"""(?P<string>(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*")|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"""
    r"""|(?P<comment>--|/\*)|(?P<other>.)""",
    re.DOTALL,
)
_PARAMETER = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_METHOD = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Column:
    """A column by its name or by an expression, or an element as it stands in a CREATE INDEX. A collation is quoted."""

    name: str = ""
    expression: str = ""
    sql: str = ""
    opclass: str = ""
    collation: str = ""
    order: str | None = None
    nulls: str | None = None

    def clause(self) -> str:
        if self.sql:
            return self.sql
        subject = quoted(self.name) if self.name else f"({self.expression})"
        collation = f" COLLATE {self.collation}" if self.collation else ""
        opclass = f" {self.opclass}" if self.opclass else ""
        return f"{subject}{collation}{opclass}{_ORDERS[self.order]}{_NULLS[self.nulls]}"


@dataclass(frozen=True)
class Desired:
    """An index as it is to be. Without columns it is only a name, which is enough for one that is to be absent."""

    name: str
    schema: str
    table: str
    columns: tuple[Column, ...]
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    include: tuple[str, ...] = ()
    where: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tablespace: str = ""
    present: bool = True
    # What the server would store, once it has been asked
    definition: Definition | None = None

    @property
    def label(self) -> str:
        return quoted(self.schema, self.name)

    @property
    def new_name(self) -> str:
        """Under which it is built. The same in every run, so that the left-over of a killed one is known as ours."""
        return f"workbot_new_{self._digest}"

    @property
    def old_name(self) -> str:
        """Under which the one that it replaces waits to be dropped."""
        return f"workbot_old_{self._digest}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(f"{self.schema}\0{self.name}".encode()).hexdigest()[:16]

    def statement(self, name: str, table: str, *, concurrently: bool, tablespace: bool = True) -> str:
        """CREATE INDEX under a name, on a table that is named as SQL names it."""
        parts = [
            f"CREATE {'UNIQUE ' if self.unique else ''}INDEX {'CONCURRENTLY ' if concurrently else ''}{quoted(name)}",
            f"ON {table} USING {self.method} ({', '.join(column.clause() for column in self.columns)})",
        ]
        if self.include:
            parts.append(f"INCLUDE ({', '.join(quoted(column) for column in self.include)})")
        if self.nulls_not_distinct:
            parts.append("NULLS NOT DISTINCT")
        if self.parameters:
            parts.append(f"WITH ({', '.join(f'{name} = {value}' for name, value in sorted(self.parameters.items()))})")
        if self.tablespace and tablespace:
            parts.append(f"TABLESPACE {quoted(self.tablespace)}")
        if self.where:
            parts.append(f"WHERE {self.where}")
        return " ".join(parts)

    def with_columns_of(self, existing: Sequence[str]) -> Desired:
        """The same, where an element that is exactly a column's name means that column, whatever is in the name."""
        return replace(
            self, columns=tuple(Column(column.sql) if column.sql in existing else column for column in self.columns)
        )


def parse(options: Sequence[Mapping[str, Any]]) -> list[Desired]:
    """The indexes of a task, checked as far as that needs no server. Raises StabilityError."""
    indexes = [_desired(option) for option in options]
    problems = [problem for desired in indexes for problem in _problems(desired)]
    labels = [desired.label for desired in indexes]
    problems += [f"{label}: declared more than once" for label in sorted({x for x in labels if labels.count(x) > 1})]
    if problems:
        raise StabilityError("; ".join(problems))
    return indexes


def _desired(option: Mapping[str, Any]) -> Desired:
    name = option["name"]
    return Desired(
        name=name,
        schema=option["schema"],
        table=option["table"] or "",
        columns=tuple(_column(name, column) for column in option["columns"] or []),
        method=option["method"].lower(),
        unique=option["unique"],
        nulls_not_distinct=option["nulls_not_distinct"],
        include=tuple(option["include"] or ()),
        where=(option["where"] or "").strip(),
        parameters={str(key).lower(): _parameter(value) for key, value in (option["with"] or {}).items()},
        tablespace=option["tablespace"] or "",
        present=option["state"] == "present",
    )


_COLUMN_KEYS = {"column", "expression", "opclass", "collation", "order", "nulls"}


def _column(index: str, given: Any) -> Column:
    if isinstance(given, str):
        return Column(sql=given.strip())
    if not isinstance(given, dict) or set(given) - _COLUMN_KEYS:
        raise StabilityError(
            f"{index}: columns: {given!r} must be a text or have the keys column or expression, opclass, collation,"
            " order (asc, desc), nulls (first, last)"
        )
    if bool(given.get("column")) == bool(given.get("expression")):
        raise StabilityError(f"{index}: columns: {given!r} must have either a column or an expression")
    order, nulls = (str(given[key]).lower() if given.get(key) else None for key in ("order", "nulls"))
    if order not in _ORDERS or nulls not in _NULLS:
        raise StabilityError(f"{index}: columns: {given!r}: order is asc or desc, nulls is first or last")
    name, expression, opclass, collation = (
        str(given.get(key) or "") for key in ("column", "expression", "opclass", "collation")
    )
    if collation and not collation.startswith('"'):
        collation = quoted(collation)
    return Column(name, expression, opclass=opclass, collation=collation, order=order, nulls=nulls)


def _parameter(value: Any) -> str:
    """YAML's true and 70 are the server's on and 70."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value).strip()


def _problems(desired: Desired) -> Iterator[str]:
    where = repr(desired.name)
    names = [("name", desired.name), ("schema", desired.schema), ("tablespace", desired.tablespace)]
    names += [("table", desired.table), *(("include", name) for name in desired.include)]
    names += [("columns", column.name) for column in desired.columns]
    for field_name, name in names:
        length = len(name.encode("utf-8", "surrogatepass"))
        if length > NAME_BYTES:
            yield f"{where}: {field_name} {name!r} has {length} bytes, and PostgreSQL cuts names off after {NAME_BYTES}"
        if "\0" in name or (field_name in ("name", "schema") and not name):
            yield f"{where}: {field_name} {name!r} is no name of anything"
    if desired.present and not (desired.table and desired.columns):
        yield f"{where}: a state of present needs a table and columns"
    if not _METHOD.fullmatch(desired.method):
        yield f"{where}: method {desired.method!r} is no access method such as btree, hash, gin, gist, brin"
    if desired.nulls_not_distinct and not desired.unique:
        yield f"{where}: nulls_not_distinct needs unique"
    for key, value in desired.parameters.items():
        if not _PARAMETER.fullmatch(key) or not re.fullmatch(r"[A-Za-z0-9_.+-]+", value):
            yield f"{where}: with: {key}={value} is no storage parameter such as fillfactor=70"
    # An element of columns may also be the exact name of a column, which no server has been asked about yet.
    fragments = [("where", desired.where)]
    for column in desired.columns:
        fragments += [("columns", column.expression), ("opclass", column.opclass), ("collation", column.collation)]
    for what, text in fragments:
        problem = fragment_problem(text, single=what != "where")
        if problem:
            yield f"{where}: {what} {text!r} {problem}"


def fragment_problem(text: str, *, single: bool) -> str:
    """Why a piece of SQL can't stand in its place; empty when it can. A comma ends the place of a single element."""
    depth = 0
    for match in _PIECE.finditer(text):
        if match["comment"]:
            return "holds a comment"
        character = match["other"] or ""
        depth += (character in ("(", "[")) - (character in (")", "]"))
        if character in ("'", '"'):
            return "has a quote that does not end"
        if character in (";", "\0"):
            return "holds a semicolon" if character == ";" else "holds a NUL"
        if depth < 0:
            return "closes a parenthesis that it did not open"
        if single and character == "," and depth == 0:
            return "holds a comma: each column is an element of the list"
    return "leaves a parenthesis open" if depth else ""


def element_problems(desired: Desired) -> list[str]:
    """The same for elements of columns, once the names of the table's columns are known."""
    found = [(column.sql, fragment_problem(column.sql, single=True)) for column in desired.columns if column.sql]
    return [f"{desired.name!r}: columns {text!r} {problem}" for text, problem in found if problem]
