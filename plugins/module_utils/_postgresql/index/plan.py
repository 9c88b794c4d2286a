# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What brings an index to its declaration: from what is there and what is desired to statements. Asks no server.

An index is always built under a name of its own and takes on the declared one when it is valid. Nothing that is in
use is dropped before its successor has its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..._host.errors import StabilityError
from ..client import literal, quoted
from .actual import Actual
from .catalog import Definition, Index, Table
from .desired import Desired
from .errors import described

_DESCENDING, _NULLS_FIRST = 1, 2


@dataclass(frozen=True)
class Step:
    """One thing to do. The statements of a swap are one transaction, each other step is one statement."""

    kind: str  # build, swap or drop
    statements: tuple[str, ...]
    index: str


@dataclass(frozen=True)
class Plan:
    desired: Desired
    action: str  # none, create, replace, drop or clean
    # The table, as SQL names it
    table: str
    steps: tuple[Step, ...] = ()
    # The index that is there, from which a swap takes the name
    current: Index | None = None
    after: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def before(self) -> str:
        return _text(self.current)

    @property
    def statements(self) -> list[str]:
        return [statement for step in self.steps for statement in step.statements]


def make_plan(desired: Desired, actual: Actual) -> Plan:
    """Raises StabilityError for what is not for this module to bring about, with the reason and what would."""
    return _present(desired, actual) if desired.present else _absent(desired, actual)


def foreseen(desired: Desired) -> Plan:
    """For a table that is not there, and may come earlier in the same run."""
    table = quoted(desired.schema, desired.table)
    build = desired.statement(desired.new_name, table, concurrently=True)
    return Plan(
        desired,
        "create",
        table,
        (Step("build", (build,), desired.new_name), Step("swap", (_rename(desired),), desired.name)),
        after=desired.statement(desired.name, table, concurrently=False),
        reasons=(f"the table {table} is not there yet",),
        warnings=(f"{desired.label}: there is no table {table} yet; the run itself would fail without it",),
    )


def differences(current: Definition, desired: Definition) -> list[str]:
    """In which attributes two definitions differ, each with both values."""
    pairs = [
        ("method", current.method, desired.method),
        ("unique", current.unique, desired.unique),
        ("nulls_not_distinct", current.nulls_not_distinct, desired.nulls_not_distinct),
        ("columns", current.keys, desired.keys),
        (
            "operator classes",
            _names(current.opclasses, desired.opclasses),
            _names(desired.opclasses, current.opclasses),
        ),
        ("operator class parameters", current.opclass_parameters, desired.opclass_parameters),
        ("collations", _names(current.collations, desired.collations), _names(desired.collations, current.collations)),
        ("order", _orders(current.orders), _orders(desired.orders)),
        ("include", current.include, desired.include),
        ("where", current.condition, desired.condition),
        ("with", _parameters(current), _parameters(desired)),
    ]
    return [f"{what}: {_shown(is_now)} -> {_shown(will_be)}" for what, is_now, will_be in pairs if is_now != will_be]


def _present(desired: Desired, actual: Actual) -> Plan:
    current, table = actual.current, _usable_table(desired, actual)
    if desired.definition is None:
        raise StabilityError(f"{desired.label}: what the server would store is not known")
    reasons, warnings = _reasons(desired, actual), _warnings(actual)
    if current and not reasons:
        steps = tuple(_drops(desired, actual.new, actual.old, *_left_over(actual)))
        action, reasons = ("clean", ["an earlier run or a REINDEX left something over"]) if steps else ("none", [])
        return Plan(desired, action, table.label, steps, current, _text(current), tuple(reasons), warnings)
    _check_changeable(desired, actual, table)
    steps = tuple(_making(desired, actual, table))
    action = "replace" if current else "create"
    after = _create(desired.label, table.label, desired.definition)
    return Plan(desired, action, table.label, steps, current, after, tuple(reasons), warnings)


def _absent(desired: Desired, actual: Actual) -> Plan:
    current = actual.current
    if actual.occupied:
        raise StabilityError(f"{desired.label} is {actual.occupied}, no index")
    if current:
        if desired.table and current.table_label != _table_label(actual.table, desired):
            raise StabilityError(f"{desired.label} is an index of {current.table_label}, not of {desired.table}")
        if current.foreign:
            raise StabilityError(f"{desired.label} {current.foreign}; this module does not drop such an index")
        _check_not_being_built(actual, current)
    indexes = (current, actual.new, actual.old, *_left_over(actual))
    steps = tuple(_drops(desired, *indexes))
    action = "drop" if current else "clean" if steps else "none"
    table = next((index.table_label for index in indexes if index), _table_label(actual.table, desired))
    return Plan(desired, action, table, steps, current, warnings=_warnings(actual))


def _table_label(table: Table | None, desired: Desired) -> str:
    return table.label if table else quoted(desired.schema, desired.table)


def _usable_table(desired: Desired, actual: Actual) -> Table:
    table = actual.table
    if table is None:
        raise StabilityError(
            f"{desired.label}: there is no table {quoted(desired.schema, desired.table)} that this role can see"
        )
    if table.problem:
        raise StabilityError(f"{desired.label}: {table.problem}")
    if actual.occupied:
        raise StabilityError(f"{desired.label}: this name belongs to {actual.occupied}; give the index another one")
    current = actual.current
    if current and current.table_oid != table.oid:
        raise StabilityError(
            f"{desired.label}: this name belongs to an index of {current.table_label}, which is left alone; give the"
            f" index of {table.label} another one"
        )
    return table


def _reasons(desired: Desired, actual: Actual) -> list[str]:
    current = actual.current
    if current is None or desired.definition is None:
        return ["it is not there"]
    reasons = differences(current.definition, desired.definition)
    if not current.valid:
        reasons.insert(0, "it is INVALID")
    if desired.tablespace and (current.tablespace or "pg_default") != desired.tablespace:
        reasons.append(f"tablespace: {current.tablespace or 'pg_default'} -> {desired.tablespace}")
    return reasons


def _check_changeable(desired: Desired, actual: Actual, table: Table) -> None:
    current = actual.current
    if current and current.foreign:
        raise StabilityError(
            f"{desired.label} {current.foreign}, so it is not replaced, though it differs"
            f" ({'; '.join(_reasons(desired, actual))}). Give the index another name, or change the constraint itself"
        )
    if not table.owned:
        raise StabilityError(
            f"{desired.label}: only the owner of {table.label} may change its indexes, which is {table.owner}: log in"
            f" as this role"
        )
    if not table.may_create:
        raise StabilityError(f"{desired.label}: this needs the right CREATE on the schema {desired.schema}")
    for index in (current, actual.new):
        if index:
            _check_not_being_built(actual, index)
    for index in (actual.new, actual.old):
        if index and index.table_oid != table.oid:
            raise StabilityError(f"{index.label} is in the way: an index of {index.table_label} with a name of ours")


def _check_not_being_built(actual: Actual, index: Index) -> None:
    if not index.valid and actual.builders:
        raise StabilityError(
            f"{index.label} is being built at this moment, it seems, by {described(actual.builders)}. Run again when"
            " that has ended"
        )


def _making(desired: Desired, actual: Actual, table: Table) -> Iterator[Step]:
    current, new = actual.current, actual.new
    yield from _drops(desired, actual.old)
    ready = new and new.valid and new.definition == desired.definition and not desired.tablespace
    if not ready:
        yield from _drops(desired, new)
        statement = desired.statement(desired.new_name, table.label, concurrently=True)
        yield Step("build", (statement,), desired.new_name)
    yield Step("swap", tuple(_swap(desired, current, table)), desired.name)
    if current:
        yield _drop(desired.schema, desired.old_name)
    yield from _drops(desired, *_left_over(actual))


def _swap(desired: Desired, current: Index | None, table: Table) -> Iterator[str]:
    if current:
        yield f"ALTER INDEX {desired.label} RENAME TO {quoted(desired.old_name)}"
    yield _rename(desired)
    if current and current.comment:
        yield f"COMMENT ON INDEX {desired.label} IS {literal(current.comment)}"
    if current and current.clustered:
        yield f"ALTER TABLE {table.label} CLUSTER ON {quoted(desired.name)}"


def _rename(desired: Desired) -> str:
    return f"ALTER INDEX {quoted(desired.schema, desired.new_name)} RENAME TO {quoted(desired.name)}"


def _left_over(actual: Actual) -> Sequence[Index]:
    """A REINDEX that is still at work has such an index as well."""
    return () if actual.builders else actual.reindexed


def _drops(desired: Desired, *indexes: Index | None) -> Iterator[Step]:
    for index in indexes:
        if index:
            yield _drop(desired.schema, index.name)


def _drop(schema: str, name: str) -> Step:
    return Step("drop", (f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema, name)}",), name)


def _warnings(actual: Actual) -> tuple[str, ...]:
    if actual.reindexed and actual.builders:
        names = ", ".join(index.label for index in actual.reindexed)
        return (f"{names}: INVALID; left alone while {described(actual.builders)} builds on the same table",)
    return ()


def _text(index: Index | None) -> str:
    if index is None:
        return ""
    invalid = "" if index.valid else " -- INVALID"
    return _create(index.label, index.table_label, index.definition) + invalid


def _create(index: str, table: str, definition: Definition) -> str:
    return f"CREATE {'UNIQUE ' if definition.unique else ''}INDEX {index} ON {table} {definition.text}"


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
