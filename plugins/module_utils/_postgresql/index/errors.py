# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a statement failed, in words that say what was in the way: a row, a lock, a right, a setting, the disk."""

from __future__ import annotations

from collections.abc import Sequence

from ..client import PgError, Row

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
_CANCELLED = "57014"
_UNIQUE = "23505"
_DISK_FULL = "53100"
_TOO_MANY = "53300"
NO_RIGHT = "42501"
_READ_ONLY = "25006"
_OUT_OF_MEMORY = "53200"

_ADVICE = {
    _DISK_FULL: "The file system of the tablespace is full: make room, or give the index a tablespace elsewhere.",
    _TOO_MANY: "The server has no connection left: see max_connections.",
    NO_RIGHT: "Log in as the owner of the table.",
    _READ_ONLY: "The session is read-only: see default_transaction_read_only, and connect to the primary server.",
    _OUT_OF_MEMORY: "See maintenance_work_mem and max_locks_per_transaction.",
}


def explain(error: PgError, *, blockers: Sequence[Row] = (), progress: str = "", limit: str = "") -> str:
    """One paragraph. `limit` is the time limit that struck, if one did: which one, and how long."""
    text = str(error).rstrip(".")
    if error.lost:
        return f"the server ended the session, or cannot be reached any more: {text}." + (
            f" It was at: {progress}." if progress else ""
        )
    if error.sqlstate == _UNIQUE:
        which = (error.detail or text).rstrip(".")
        return f"rows are equal that must not be: {which}. Remove or change all but one of them."
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return f"a lock was not to be had within {limit or 'lock_timeout'}. {_held(blockers)}"
    if error.sqlstate == _CANCELLED and limit:
        return (
            f"it took longer than {limit}"
            + (f", at last: {progress}" if progress else "")
            + f". {_held(blockers) if blockers else 'Nobody held it up: give it more time.'}"
        )
    if error.sqlstate == _CANCELLED:
        return f"somebody cancelled it: {text}."
    parts = [f"{text}.", error.detail, error.hint, _ADVICE.get(error.sqlstate, "")]
    return " ".join(part.strip() for part in parts if part)


def _held(blockers: Sequence[Row]) -> str:
    if not blockers:
        return "Whoever held it has not been seen."
    return f"It waited for {described(blockers)}, whose transaction must end first."


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
