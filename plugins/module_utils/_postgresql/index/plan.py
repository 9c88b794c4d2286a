# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What brings an index to its declaration: from what is there and what is wanted to statements. Asks no server.

An index is always built under a name of its own and takes on the declared one when it is valid. Nothing that is in
use is dropped before its successor has its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..._host.errors import StabilityError
from ..client import Row, literal, quoted
from .catalog import Definition, Index, Table
from .declaration import NAME_BYTES, Declaration

_DESCENDING, _NULLS_FIRST = 1, 2


class RefusedError(StabilityError):
    """It is not for this module to bring this about; the message says why, and what would."""


@dataclass(frozen=True)
class Situation:
    """All that is known about one declaration."""

    declared: Declaration
    # None: there is no such table, or (for an index that is not wanted) it does not matter.
    table: Table | None
    # What the server would store; None for an index that is not wanted.
    wanted: Definition | None
    # The index that has the declared name.
    current: Index | None = None
    # A relation that is no index and has the declared name.
    occupied: str = ""
    # What an earlier run of ours left over.
    new: Index | None = None
    old: Index | None = None
    # INVALID indexes that a REINDEX CONCURRENTLY of the declared one left over.
    reindexed: tuple[Index, ...] = ()
    # Sessions that build an index of the table.
    builders: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing to do. The statements of a swap are one transaction, each other step is one statement."""

    kind: str  # build, swap or drop
    statements: tuple[str, ...]
    index: str


@dataclass(frozen=True)
class Plan:
    declared: Declaration
    action: str  # none, create, replace, drop or clean
    # The table, as SQL names it
    table: str
    steps: tuple[Step, ...] = ()
    reasons: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    warnings: tuple[str, ...] = ()
    # The index that the swap takes the name from; 0 where there is none.
    current_oid: int = 0

    @property
    def statements(self) -> list[str]:
        return [statement for step in self.steps for statement in step.statements]


def make_plan(situation: Situation) -> Plan:
    """Raises RefusedError."""
    return _present(situation) if situation.declared.wanted else _absent(situation)


def differences(current: Definition, wanted: Definition) -> list[str]:
    """In which attributes two definitions differ, each with both values."""
    pairs = [
        ("method", current.method, wanted.method),
        ("unique", current.unique, wanted.unique),
        ("nulls_not_distinct", current.nulls_not_distinct, wanted.nulls_not_distinct),
        ("columns", current.keys, wanted.keys),
        ("operator classes", _names(current.opclasses, wanted.opclasses), _names(wanted.opclasses, current.opclasses)),
        ("operator class parameters", current.opclass_parameters, wanted.opclass_parameters),
        ("collations", _names(current.collations, wanted.collations), _names(wanted.collations, current.collations)),
        ("order", _orders(current.orders), _orders(wanted.orders)),
        ("include", current.include, wanted.include),
        ("where", current.condition, wanted.condition),
        ("with", _parameters(current), _parameters(wanted)),
    ]
    return [f"{what}: {_shown(is_now)} -> {_shown(will_be)}" for what, is_now, will_be in pairs if is_now != will_be]


def _present(situation: Situation) -> Plan:
    declared, current, wanted = situation.declared, situation.current, situation.wanted
    table = _usable_table(situation)
    if wanted is None:
        raise RefusedError(f"{declared.label}: what the server would store is not known")
    reasons = _reasons(situation)
    after = f"CREATE {'UNIQUE ' if wanted.unique else ''}INDEX {declared.label} ON {table.label} {wanted.text}"
    before, warnings = _text(current), _warnings(situation)
    if current and not reasons:
        steps = tuple(_drops(declared, situation.new, situation.old, *_left_over(situation)))
        kept = "an earlier run or a REINDEX left something over"
        action, reasons = ("clean", [kept]) if steps else ("none", [])
        return Plan(declared, action, table.label, steps, tuple(reasons), before, before, warnings)
    _check_changeable(situation, table)
    steps = tuple(_making(situation, table))
    action = "replace" if current else "create"
    replaced = current.oid if current else 0
    return Plan(declared, action, table.label, steps, tuple(reasons), before, after, warnings, replaced)


def _absent(situation: Situation) -> Plan:
    declared, current = situation.declared, situation.current
    if situation.occupied:
        raise RefusedError(f"{declared.label} is {situation.occupied}, no index")
    if current:
        if declared.table and current.table_label != quoted_like(situation.table, declared):
            raise RefusedError(f"{declared.label} is an index of {current.table_label}, not of {declared.table}")
        if current.foreign:
            raise RefusedError(f"{declared.label} {current.foreign}; this module does not drop such an index")
        _check_not_being_built(situation, current)
    indexes = (current, situation.new, situation.old, *_left_over(situation))
    steps = tuple(_drops(declared, *indexes))
    action = "drop" if current else "clean" if steps else "none"
    table = next((index.table_label for index in indexes if index), quoted_like(situation.table, declared))
    return Plan(declared, action, table, steps, before=_text(current), warnings=_warnings(situation))


def quoted_like(table: Table | None, declared: Declaration) -> str:
    return table.label if table else quoted(declared.schema, declared.table)


def _usable_table(situation: Situation) -> Table:
    declared, table = situation.declared, situation.table
    if table is None:
        raise RefusedError(
            f"{declared.label}: there is no table {quoted(declared.schema, declared.table)} that this role can see"
        )
    if table.problem:
        raise RefusedError(f"{declared.label}: {table.problem}")
    if situation.occupied:
        raise RefusedError(f"{declared.label}: this name belongs to {situation.occupied}; give the index another one")
    current = situation.current
    if current and current.table_oid != table.oid:
        raise RefusedError(
            f"{declared.label}: this name belongs to an index of {current.table_label}, which is left alone; give the"
            f" index of {table.label} another one"
        )
    return table


def _reasons(situation: Situation) -> list[str]:
    declared, current, wanted = situation.declared, situation.current, situation.wanted
    if current is None or wanted is None:
        return ["it is not there"]
    reasons = differences(current.definition, wanted)
    if not current.valid:
        reasons.insert(0, "it is INVALID")
    if declared.tablespace and (current.tablespace or "pg_default") != declared.tablespace:
        reasons.append(f"tablespace: {current.tablespace or 'pg_default'} -> {declared.tablespace}")
    return reasons


def _check_changeable(situation: Situation, table: Table) -> None:
    declared, current = situation.declared, situation.current
    if current and current.foreign:
        raise RefusedError(
            f"{declared.label} {current.foreign}, so it is not replaced, though it differs"
            f" ({'; '.join(_reasons(situation))}). Give the index another name, or change the constraint itself"
        )
    if not table.owned:
        raise RefusedError(
            f"{declared.label}: only the owner of {table.label} may change its indexes, which is {table.owner}: log in"
            f" as this role"
        )
    if not table.may_create:
        raise RefusedError(f"{declared.label}: this needs the right CREATE on the schema {declared.schema}")
    for index in (current, situation.new):
        if index:
            _check_not_being_built(situation, index)
    for index in (situation.new, situation.old):
        if index and index.table_oid != table.oid:
            raise RefusedError(f"{index.label} is in the way: an index of {index.table_label} with a name of ours")


def _check_not_being_built(situation: Situation, index: Index) -> None:
    if not index.valid and situation.builders:
        raise RefusedError(
            f"{index.label} is being built at this moment, it seems, by {described(situation.builders)}. Run again when"
            " that has ended"
        )


def _making(situation: Situation, table: Table) -> Iterator[Step]:
    declared, current, new = situation.declared, situation.current, situation.new
    yield from _drops(declared, situation.old)
    ready = new and new.valid and new.definition == situation.wanted and not declared.tablespace
    if not ready:
        yield from _drops(declared, new)
        statement = declared.statement(declared.new_name, table.label, concurrently=True)
        yield Step("build", (statement,), declared.new_name)
    yield Step("swap", tuple(_swap(declared, current, table)), declared.name)
    if current:
        yield _drop(declared.schema, declared.old_name)
    yield from _drops(declared, *_left_over(situation))


def _swap(declared: Declaration, current: Index | None, table: Table) -> Iterator[str]:
    new = quoted(declared.schema, declared.new_name)
    if current:
        yield f"ALTER INDEX {declared.label} RENAME TO {quoted(declared.old_name)}"
    yield f"ALTER INDEX {new} RENAME TO {quoted(declared.name)}"
    if current and current.comment:
        yield f"COMMENT ON INDEX {declared.label} IS {literal(current.comment)}"
    if current and current.clustered:
        yield f"ALTER TABLE {table.label} CLUSTER ON {quoted(declared.name)}"


def _left_over(situation: Situation) -> Sequence[Index]:
    """A REINDEX that is still at work has such an index as well."""
    return () if situation.builders else situation.reindexed


def _drops(declared: Declaration, *indexes: Index | None) -> Iterator[Step]:
    for index in indexes:
        if index:
            yield _drop(declared.schema, index.name)


def _drop(schema: str, name: str) -> Step:
    return Step("drop", (f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema, name)}",), name)


def is_reindex_left_over(name: str, of: str) -> bool:
    """REINDEX CONCURRENTLY calls what it builds, or replaced, by the index's name, cut to fit, and one of these."""
    match = re.fullmatch(r"(.+)_cc(new|old)\d*", name, re.DOTALL)
    if not match:
        return False
    stem = match[1]
    cut = len(name.encode()) >= NAME_BYTES - 1
    return stem == of or (cut and of.startswith(stem))


def described(sessions: Sequence[Row]) -> str:
    """Sessions, for people: process id, role, application, since when."""
    return ", ".join(
        f"process {row['pid']} ({row['user'] or 'unknown role'}"
        + (f", {row['application']}" if row["application"] else "")
        + (f", {row['state']}" if row.get("state") else "")
        + (f", since {row['since']:%Y-%m-%d %H:%M:%S %Z}" if row["since"] else "")
        + ")"
        for row in sessions
    )


def _warnings(situation: Situation) -> tuple[str, ...]:
    if situation.reindexed and situation.builders:
        names = ", ".join(index.label for index in situation.reindexed)
        return (f"{names}: INVALID; left alone while {described(situation.builders)} builds on the same table",)
    return ()


def _text(index: Index | None) -> str:
    if index is None:
        return ""
    unique = "UNIQUE " if index.definition.unique else ""
    invalid = "" if index.valid else " -- INVALID"
    return f"CREATE {unique}INDEX {index.label} ON {index.table_label} {index.definition.text}{invalid}"


def _names(mine: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Names without the ids that follow them, except where only the ids differ."""
    names = tuple(text.rpartition("/")[0] for text in mine)
    same = names == tuple(text.rpartition("/")[0] for text in others)
    return tuple(mine) if same else names


def _orders(bits: Sequence[int]) -> tuple[str, ...]:
    return tuple(
        ("DESC" if bit & _DESCENDING else "ASC") + (" NULLS FIRST" if bit & _NULLS_FIRST else " NULLS LAST")
        for bit in bits
    )


def _parameters(definition: Definition) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in definition.parameters)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(part or "default" for part in value) + ")"
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"
