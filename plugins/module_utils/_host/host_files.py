# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One concern of a host as a whole: accounts, directories, files, trusted authorities, and units that run from them.

All is read first and compared; what is refused is refused before anything changes. Where the trust store can't be made
from its new files, or a unit does not start with them, they are put back and the units go on as they were.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import accounts, acl, kernel_settings, trust_store, units
from .errors import StabilityError
from .files import Change, Entry, Transaction, actual_directory, change_of, change_of_directory, check
from .service_tree import discard_path

_UNIT_DIRECTORY = "/etc/systemd/system/"
# What undoes a step with a unit: while its files are there, and when the old ones are back.
_UNDONE_BEFORE_FILES = {"start": "stop", "enable": "disable"}
_UNDONE_AFTER_FILES = {"stop": "start", "disable": "enable", "restart": "restart", "reload": "reload"}


@dataclass(frozen=True)
class Plan:
    """What is not as desired, each with what is there now."""

    kernel: Sequence[kernel_settings.Setting]
    accounts: Sequence[tuple[accounts.Account, accounts.Account | None]]
    files: Sequence[Change]
    """Directories first."""
    untrusted: Sequence[str]
    """Files of authorities that the trust store lacks."""
    removed: Sequence[str]
    states: Mapping[str, units.State]
    """Of all units that are desired, or of which the file is."""
    steps: Sequence[units.Step]

    @property
    def paths(self) -> list[str]:
        """The paths that change."""
        return [*(change.path for change in self.files), *self.removed]

    @property
    def unread(self) -> list[str]:
        """The units whose files systemd has not read since they were written, as a run leaves them that was killed."""
        return [name for name, state in self.states.items() if state.outdated]

    @property
    def changed(self) -> bool:
        return bool(self.kernel or self.accounts or self.untrusted or self.paths or self.unread or self.steps)

    def diff(self) -> list[dict[str, str]]:
        """All changes in the shape that Ansible shows for --diff."""
        listed = [setting.lines() for setting in self.kernel]
        listed += [(now.line() if now else "", desired.line()) for desired, now in self.accounts]
        listed += [("", f"trusted: {path}\n") for path in self.untrusted]
        listed += [(f"{path}\n", "") for path in self.removed]
        listed += [("", f"read by systemd: {name}\n") for name in self.unread]
        before, after = ("".join(side) for side in zip(*listed, strict=True)) if listed else ("", "")
        shown = [{"before": before, "after": after}] if listed else []
        return shown + [change.diff() for change in self.files] + [step.diff() for step in self.steps]


def plan(options: Mapping[str, Any]) -> Plan:
    """Read the host and compare it with the module's options. Raises StabilityError and OSError."""
    directories = [
        change_of_directory(item["path"], _directory(item), item["contents"])
        for item in options["directories"]
        if not (item["keep"] and actual_directory(item["path"]))
    ]
    files = [change_of(item["path"], _file(item), item["check"]) for item in options["files"]]
    changes = [change for change in [*directories, *files] if change]
    paths, changed = [item["path"] for item in options["files"]], [change.path for change in changes]
    desired = [units.Unit(**item) for item in options["units"]]
    states = units.states(unit_names(desired, paths))
    return Plan(
        kernel_settings.differing(options["kernel"]),
        _accounts(options["accounts"]),
        changes,
        trust_store.lacking(paths, changed),
        [path for path in options["removed"] if os.path.lexists(path)],
        states,
        units.steps(desired, states, changed, units.written(desired)),
    )


def _directory(item: Mapping[str, Any]) -> Entry:
    mode = int(item["mode"], 8)
    access = acl.text(mode, item["users"])
    return Entry(b"", mode, item["owner"], item["group"], directory=True, access=access)


def _file(item: Mapping[str, Any]) -> Entry:
    if item["sent"] is None and not item["sha256"]:
        raise StabilityError(f"{item['path']}: the controller's half of the module has sent neither content nor digest")
    return Entry(
        None if item["sent"] is None else base64.b64decode(item["sent"]),
        int(item["mode"], 8),
        item["owner"],
        item["group"],
        digest=item["sha256"] or "",
        secret=item["secret"],
    )


def _accounts(items: Sequence[Mapping[str, Any]]) -> list[tuple[accounts.Account, accounts.Account | None]]:
    desired = [accounts.Account(**{**item, "group": item["group"] or item["name"]}) for item in items]
    pairs = [(account, accounts.actual(account.name)) for account in desired]
    return [(account, now) for account, now in pairs if account != now]


def unit_names(desired: Sequence[units.Unit], paths: Sequence[str]) -> list[str]:
    """The units, and those of which only a file is among the paths, their own or a drop-in; a template is none."""
    files = [path.removeprefix(_UNIT_DIRECTORY) for path in paths if path.startswith(_UNIT_DIRECTORY)]
    others = [name for file in files if "@." not in (name := file.partition(".d/")[0])]
    return list(dict.fromkeys([*(unit.name for unit in desired), *others]))


def apply(made: Plan) -> None:
    """Make the plan true. Raises the errors of plan, and StabilityError."""
    for change in made.files:
        check(change)
    for setting in made.kernel:
        setting.make()
    for account, now in made.accounts:
        accounts.apply(account, now)
    begun: list[units.Step] = []
    transaction = Transaction()
    with trust_store.alone() if made.untrusted else contextlib.nullcontext():
        try:
            _run_units(made, begun, started=False)
            transaction.make(made.files)
            if made.untrusted:
                trust_store.update()
            if _has_units(change.path for change in made.files) or made.unread:
                units.reload_daemon()
            _run_units(made, begun, started=True)
        except StabilityError as error:
            raise StabilityError("\n".join([str(error), *_put_back(made, begun, transaction)])) from error
    for path in made.removed:
        discard_path(path)
    if _has_units(made.removed):
        units.reload_daemon()


def _run_units(made: Plan, begun: list[units.Step], started: bool) -> None:
    for step in made.steps:
        if step.unit.started == started:
            begun.append(step)
            units.do(step)


def _put_back(made: Plan, begun: Sequence[units.Step], transaction: Transaction) -> list[str]:
    """Undo the files, and what was begun with the units; return what was done in sentences."""
    done = ["The files were put back as they were."] if transaction.done else []
    lost = [f"Not undone: {problem}" for problem in _undo(reversed(begun), _UNDONE_BEFORE_FILES)]
    lost += transaction.undo()
    if _has_units(change.path for change in made.files):
        with contextlib.suppress(StabilityError):
            units.reload_daemon()
    lost += [f"Not undone: {problem}" for problem in _undo(begun, _UNDONE_AFTER_FILES)]
    return lost or done


def _undo(begun: Iterable[units.Step], opposites: Mapping[str, str]) -> Iterator[str]:
    """What went wrong: one unit must not keep the others from being undone."""
    for step in begun:
        verb = opposites.get(step.verb, "")
        try:
            units.do(replace(step, enabling=opposites.get(step.enabling, ""), verb="" if verb == "stop" else verb))
            if verb == "stop":
                units.stop_unit(step.unit.name)
        except StabilityError as error:
            yield str(error)


def _has_units(paths: Iterable[str]) -> bool:
    return any(path.startswith(_UNIT_DIRECTORY) for path in paths)
