# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes a service consists of, and what the kernel says about them. Reads only."""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from . import proc
from .errors import StabilityError
from .service_tree import opened
from .units import LOOK_SECONDS, unit_states

# The kernel counts start times in 1/100 s since boot, and a clock may have been set a little since.
_CLOCK_SLACK = 2.0
_PID_BYTES = 64


class ProcessError(StabilityError):
    """The processes can't be found; the message says why."""


class MissingLibraryError(StabilityError):
    """A Python library that Debian packages is not on the host."""


def load_library(name: str, package: str) -> Any:
    """Import a library that only hosts need. Raises MissingLibraryError naming Debian's package."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"Python's {name} is not there for {sys.executable}: install the Debian package {package}"
        ) from error


@dataclasses.dataclass(frozen=True)
class ProcessReading:
    """One process. PSS (shared pages divided among their users) and USS (its own pages) need the same user or root."""

    pid: int
    name: str
    started_at: float
    rss: int
    pss: int | None = None
    uss: int | None = None


@dataclasses.dataclass(frozen=True)
class ProcessTree:
    """A process that a supervisor started, and all its descendants."""

    label: str
    pid: int
    processes: tuple[ProcessReading, ...]

    @property
    def rss(self) -> int:
        return sum(process.rss for process in self.processes)

    @property
    def pss(self) -> int | None:
        """None where it could not be read for every process: part of a sum would mislead."""
        known = [process.pss for process in self.processes if process.pss is not None]
        return sum(known) if known and len(known) == len(self.processes) else None

    def as_dict(self) -> dict[str, Any]:
        own = {"label": self.label, "pid": self.pid, "rss": self.rss, "pss": self.pss}
        return {**own, "processes": [dataclasses.asdict(process) for process in self.processes]}


def read_trees(roots: Iterable[tuple[str, int]]) -> list[ProcessTree]:
    """The trees below the roots (label, pid). A process that ends meanwhile is left out."""
    psutil = load_library("psutil", "python3-psutil")
    trees = []
    for label, pid in roots:
        try:
            root = psutil.Process(pid)
            members = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        readings = [reading for member in members if (reading := _read(psutil, member)) is not None]
        if readings:
            trees.append(ProcessTree(label, pid, tuple(readings)))
    return trees


def _read(psutil: Any, process: Any) -> ProcessReading | None:
    try:
        with process.oneshot():
            # psutil's own would read all of the command line for the end of a long name
            name = proc.text(process.pid, "comm")
            base = ProcessReading(process.pid, name, process.create_time(), process.memory_info().rss)
    except psutil.Error:
        return None
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return base
    return dataclasses.replace(base, pss=full.pss, uss=full.uss)


def pid_of_file(path: str) -> int:
    """The process a pid file names. Raises ProcessError, also where that number now is a younger process's."""
    psutil = load_library("psutil", "python3-psutil")
    try:
        with opened(path) as file:
            text = file.read(_PID_BYTES).decode("utf-8", "replace").strip()
            written = os.fstat(file.fileno())
    except OSError as error:
        raise ProcessError(f"pid file {path}: {error.strerror}; is the service started?") from error
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) == int(text[:20])):
        raise ProcessError(f"pid file {path} holds {text[:40]!r} instead of a process id")
    pid = int(text)
    try:
        process = psutil.Process(pid)
        started_at, user = process.create_time(), process.uids().real
    except psutil.NoSuchProcess as error:
        raise ProcessError(f"pid file {path} names process {pid}, which does not run; start the service") from error
    if written.st_uid not in (0, user):
        raise ProcessError(f"pid file {path} names process {pid} of another user than its own")
    if started_at > written.st_mtime + _CLOCK_SLACK:
        raise ProcessError(f"pid file {path} is left over: process {pid} was started after it; start the service")
    return pid


def process_of_unit(unit: str) -> tuple[int, int]:
    """The main process of a systemd unit, and how often systemd has restarted it.

    Raises ProcessError, and UnitError where systemd can't be asked.
    """
    state = unit_states([unit], LOOK_SECONDS).get(unit, {})
    pid = int(state.get("MainPID") or 0)
    if pid <= 0:
        is_in = "not installed" if state.get("LoadState") == "not-found" else state.get("ActiveState", "unknown")
        raise ProcessError(f"systemd unit {unit} is {is_in} and has no main process; see `systemctl status {unit}`")
    return pid, int(state.get("NRestarts") or 0)
