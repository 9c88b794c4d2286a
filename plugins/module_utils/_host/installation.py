# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One concern of a host as a whole: accounts, directories, files, links and the units that run from them.

All is read first and compared; what is refused is refused before anything changes. Where a unit does not start with its
new files, they are put back and the unit goes on as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import accounts, kernel_settings, units
from . import directories as _directories
from .errors import StabilityError
from .files import Change, Transaction, Wanted, changes, check, with_content
from .service_tree import discard, open_directory

_UNIT_DIRECTORY = "/etc/systemd/system/"


@dataclass(frozen=True)
class Request:
    """What is wanted; paths of ``removed`` may be directories, with all that is in them."""

    accounts: Sequence[accounts.Account] = ()
    directories: Sequence[_directories.Directory] = ()
    files: Sequence[Wanted] = ()
    removed: Sequence[str] = ()
    units: Sequence[units.Unit] = ()
    kernel: Mapping[str, str] = field(default_factory=dict)
    """Settings of the running kernel, by the names of sysctl."""


@dataclass
class Plan:
    """What is not as wanted, each with what is there now."""

    request: Request
    kernel: list[kernel_settings.Setting] = field(default_factory=list)
    accounts: list[tuple[accounts.Account, accounts.Account | None]] = field(default_factory=list)
    directories: list[_directories.Correction] = field(default_factory=list)
    files: list[Change] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    states: dict[str, units.State] = field(default_factory=dict)
    steps: list[units.Step] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The paths that change."""
        return [item.wanted.path for item in self.directories] + [item.path for item in self.files] + self.removed

    @property
    def changed(self) -> bool:
        return bool(self.kernel or self.accounts or self.paths or self.steps)

    @property
    def unsent(self) -> list[str]:
        """The files whose content is needed and was not sent."""
        return [item.path for item in self.files if item.lacks_content()]

    def diff(self) -> list[dict[str, str]]:
        """All changes in the shape that Ansible shows for --diff."""
        listed = [(now.line() if now else "", wanted.line()) for wanted, now in self.accounts]
        listed += [item.lines() for item in self.directories]
        listed += [item.lines() for item in self.kernel]
        listed += [(f"{path}\n", "") for path in self.removed]
        before, after = ("".join(side) for side in zip(*listed, strict=True)) if listed else ("", "")
        shown = [{"before": before, "after": after}] if listed else []
        return shown + [item.diff() for item in self.files] + [step.diff() for step in self.steps]


def plan(request: Request) -> Plan:
    """Read the host and compare. Raises StabilityError and OSError."""
    made = Plan(request, kernel=kernel_settings.differing(request.kernel))
    for account in request.accounts:
        found = accounts.actual(account.name)
        if found != account or not accounts.has_group(account.group):
            made.accounts.append((account, found))
    made.directories = _directories.corrections(request.directories)
    made.files = [with_content(item) for item in changes(request.files)]
    made.removed = [path for path in request.removed if Path(path).is_symlink() or Path(path).exists()]
    made.states = units.states(_unit_names(request))
    made.steps = units.steps(
        request.units, made.states, [item.path for item in made.files], units.written(request.units)
    )
    return made


def _unit_names(request: Request) -> list[str]:
    """The units, and those of which only the file is asked for; a template is none."""
    paths = [Path(item.path) for item in request.files if item.path.startswith(_UNIT_DIRECTORY)]
    others = [path.name for path in paths if f"{path.parent}/" == _UNIT_DIRECTORY and "@." not in path.name]
    return list(dict.fromkeys([*(unit.name for unit in request.units), *others]))


def apply(made: Plan) -> None:
    """Make the plan true. Raises the errors of plan, and StabilityError."""
    for item in made.files:
        check(item)
    for setting in made.kernel:
        setting.make()
    for account, found in made.accounts:
        accounts.apply(account, found)
    for directory in made.directories:
        directory.make()
    for step in made.steps:
        if not step.unit.started:
            units.do(step)
    transaction = Transaction()
    transaction.make(made.files)
    try:
        _run_units(made)
    except units.UnitError as error:
        raise StabilityError(f"{error}\n{_put_back(made, transaction)}") from error
    for path in made.removed:
        remove(path)
    if any(path.startswith(_UNIT_DIRECTORY) for path in made.removed):
        units.reload_daemon()


def remove(path: str) -> None:
    """Remove a file, a link or a directory with all that is in it."""
    with open_directory(Path(path).parent) as parent:
        discard(parent, Path(path).name)


def _run_units(made: Plan) -> None:
    # A run that was killed after its files leaves systemd with the old units: it says so itself.
    if _is_unit(made.files) or any(state.outdated for state in made.states.values()):
        units.reload_daemon()
    for step in made.steps:
        if step.unit.started:
            units.do(step)


def _put_back(made: Plan, transaction: Transaction) -> str:
    """Undo the files and have the units that were running run again; return what was done in words."""
    if not made.files:
        return "Nothing else was changed."
    lost = transaction.undo()
    if _is_unit(made.files):
        units.reload_daemon()
    for step in made.steps:
        if step.verb == "restart":
            units.do(step)
    return "\n".join(lost) or "The files were put back as they were."


def _is_unit(files: Sequence[Change]) -> bool:
    return any(item.path.startswith(_UNIT_DIRECTORY) for item in files)


def report(made: Plan) -> dict[str, Any]:
    """Return the module's result."""
    return {
        "changed": made.changed,
        "changed_paths": made.paths,
        "units": {
            name: {"active": state.active, "enabled": state.enabled, "loaded": state.loaded}
            for name, state in made.states.items()
            if name in {unit.name for unit in made.request.units}
        },
        "diff": made.diff(),
    }
