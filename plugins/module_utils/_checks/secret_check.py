# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which secrets a running process really has, and whether they are any good.

Node.js started with --env-file has them from that file, which /proc/PID/environ does not show; any other process has
them from its environment. No value leaves the reader: what it returns are lengths, judgements and digests under a key
that is made for one run and never stored, so that equal values can be told without knowing them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .._host import proc
from .._host.accounts import user_name
from .._host.command import Identity, effective_user
from .._host.console import listed
from .._host.processes import load_library
from .._host.service_tree import opened
from .._service.dotenv import parse
from .._service.secret_values import password_in, strength, weakness
from .findings import CRITICAL, OK, WARNING, Finding

_PRIVATE = 0o600
_OTHERS = 0o077
# The kernel counts start times in 1/100 s since boot, and a clock may have been set a little since.
_CLOCK_SLACK = 2.0
_ENV_FILE_OPTIONS = ("--env-file", "--env-file-if-exists")
_LOADING_LOOKS, _LOADING_PAUSE = 10, 0.02
# Shorter values, such as true or production, are the same in many places.
_LEAST_COMPARED = 8
# Of a file, a command line or an environment. A process can make the last two gigabytes long.
_MOST_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Traits:
    """What may be told of a value."""

    length: int
    weakness: str | None
    bits: int
    digest: str


@dataclasses.dataclass(frozen=True)
class FileTraits:
    path: str
    owner: str
    mode: int


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process, or a file, with the secrets it has."""

    label: str
    secrets: Mapping[str, Traits] = dataclasses.field(default_factory=dict)
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of every longer value: its name, or what it is part of, to its digest."""
    files: tuple[FileTraits, ...] = ()
    changed_since: tuple[str, ...] = ()
    """Files that were changed after the process had read them."""
    error: str = ""


class SecretReader:
    """Reads for one run: digests of another reader are of no use."""

    def __init__(self, names: Sequence[str], min_length: int) -> None:
        self._names = names
        self._min_length = min_length
        self._key = os.urandom(32)

    def file(self, path: Path) -> Holder:
        """What a file holds. One that can't be read is a holder with an error."""
        try:
            traits, variables, _changed = _read_file(path, None)
        except OSError as error:
            return Holder(str(path), error=f"{path}: {error.strerror}")
        return self._holder(str(path), variables, (traits,))

    def processes(self, roots: Iterable[tuple[str, int]]) -> list[Holder]:
        """Of each (label, process id) what it has; one that has ended in between has nothing, and no fault."""
        return [holder for label, pid in roots if (holder := self._process(label, pid))]

    def _process(self, label: str, pid: int) -> Holder | None:
        """What a process was started with; None when it has ended. One that can't be looked into has an error."""
        psutil = load_library("psutil", "python3-psutil")
        try:
            process = psutil.Process(pid)
            # inside a container root may not look into another user's process; the user itself may
            user = Identity("", process.uids().real, process.gids().real, "/")
            with effective_user(user):
                started, directory = process.create_time(), Path(process.cwd())
                arguments, environment = _started_with(pid)
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return None
        except (psutil.Error, OSError):
            return Holder(label, error=f"the environment of {label} (process {pid}) is not readable for this user")
        if not proc.lives(pid):
            # of what is ending the kernel shows an empty environment
            return None
        names = env_files(arguments, environment)
        given = {**environment, **pm2_variables(environment)}
        return self._started(label, [directory / name for name in names], user, given, started)

    def _started(
        self, label: str, paths: Iterable[Path], user: Identity, environment: Mapping[str, str], started: float
    ) -> Holder:
        """The process names the files: they are read as its user, who may not have root read another one's."""
        variables: dict[str, str] = {}
        files, changed = [], []
        for path in paths:
            try:
                traits, found, written = _read_file(path, user)
                if written > started + _CLOCK_SLACK:
                    changed.append(str(path))
            except OSError as error:
                return Holder(label, error=f"{label} was started with {path}, which can't be read: {error.strerror}")
            variables.update(found)
            files.append(traits)
        # what is set already stays as it is: --env-file changes nothing of it
        return self._holder(label, {**variables, **environment}, tuple(files), tuple(changed))

    def _holder(
        self, label: str, variables: Mapping[str, str], files: tuple[FileTraits, ...], changed: tuple[str, ...] = ()
    ) -> Holder:
        secrets = {name: self._traits(variables[name]) for name in self._names if name in variables}
        return Holder(label, secrets, self._digests(variables), files, changed)

    def _traits(self, value: str) -> Traits:
        return Traits(len(value), weakness(value, self._min_length), round(strength(value)), self._digest(value))

    def _digests(self, variables: Mapping[str, str]) -> dict[str, str]:
        found = {name: self._digest(value) for name, value in variables.items() if len(value) >= _LEAST_COMPARED}
        for name, value in variables.items():
            password = unquote(password_in(value) or "")
            if len(password) >= _LEAST_COMPARED:
                found[f"the password in {name}"] = self._digest(password)
        return found

    def _digest(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def env_files(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The files that Node.js was told to read its environment from.

    PM2 gives its processes a title in place of their command line; the arguments are in what PM2 handed to them: all
    settings as JSON to a cluster's worker, one by one with commas in a list to a process in fork mode.
    """
    handed = _pm2_settings(environment).get("node_args")
    if not isinstance(handed, list):
        handed = environment.get("node_args", "").split(",")
    return _named_files(arguments) or _named_files([str(argument) for argument in handed])


def pm2_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What PM2 gives to a cluster's worker: all in one variable, which it takes apart before it runs the program."""
    return {name: value for name, value in _pm2_settings(environment).items() if isinstance(value, str)}


def _pm2_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        settings = json.loads(environment.get("pm2_env", ""))
    except (ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _named_files(arguments: Sequence[str]) -> list[str]:
    found: list[str] = []
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        option, equals, value = argument.partition("=")
        if option in _ENV_FILE_OPTIONS:
            found += [value] if equals else arguments[number + 1 : number + 2]
    return found


def _started_with(pid: int) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment. While a program is being loaded, the kernel shows both as empty.

    Raises OSError.
    """
    for _look in range(_LOADING_LOOKS):
        arguments, variables = _texts(pid, "cmdline"), _texts(pid, "environ")
        if arguments:
            break
        time.sleep(_LOADING_PAUSE)
    return arguments, dict(variable.split("=", 1) for variable in variables if "=" in variable)


def _texts(pid: int, name: str) -> list[str]:
    """psutil would read all of it."""
    content = proc.beginning(pid, name, _MOST_BYTES).rstrip(b"\0")
    return content.decode("utf-8", "surrogateescape").split("\0") if content else []


def _read_file(path: Path, user: Identity | None) -> tuple[FileTraits, dict[str, str], float]:
    """Who may read it, what it says, and when it was written, in seconds since the epoch."""
    with opened(path, user) as file:
        info = os.fstat(file.fileno())
        variables = parse(file.read(_MOST_BYTES).decode("utf-8", "surrogateescape"))
    return FileTraits(str(path), user_name(info.st_uid), stat.S_IMODE(info.st_mode)), variables, info.st_mtime


@dataclasses.dataclass(frozen=True)
class SecretRules:
    names: Sequence[str]
    min_length: int
    min_bits: int
    """Of the estimate by `strength`; 0 for any."""
    owner: str = ""
    """Whom the files must belong to; empty for anybody."""


def judge_secrets(
    rules: SecretRules, processes: Sequence[Holder], declared: Holder | None = None, others: Sequence[Holder] = ()
) -> list[Finding]:
    """`declared` is the file that the processes should have their secrets from; `others` belong to other services."""
    own = [*processes, *([declared] if declared else [])]
    readable = [holder for holder in own if not holder.error]
    holders = [holder for holder in readable if holder is not declared] or readable
    findings = [
        Finding("secrets.unreadable", CRITICAL, f"{holder.error}. Run this as root or as the service's user.")
        for holder in (*own, *others)
        if holder.error
    ]
    files = {traits.path: traits for holder in own for traits in holder.files}
    if files:
        findings.append(judge_privacy(list(files.values()), rules.owner))
    if not holders:
        return findings or [Finding("secrets", CRITICAL, "no process and no file to look into. Start the service.")]
    for name in rules.names:
        findings.append(_judge_value(rules, name, holders, bool(processes)))
        findings += _judge_same(name, holders[0], others)
    return findings + _judge_age(rules.names, holders, declared)


def judge_privacy(files: Sequence[FileTraits], owner: str) -> Finding:
    """One finding for all files that hold secrets; the worst decides. An empty owner stands for anybody."""
    wrong = [traits for traits in files if traits.mode != _PRIVATE or (owner and traits.owner != owner)]
    expected = f"{owner or files[0].owner} {_PRIVATE:04o}"
    if not wrong:
        message = f"{len(files)} files with secrets are private to {owner or files[0].owner}"
        return Finding("secrets.file", OK, message, expected, expected)
    worst = max(wrong, key=lambda traits: bool(traits.mode & _OTHERS))
    status = CRITICAL if worst.mode & _OTHERS else WARNING
    value = f"{worst.owner} {worst.mode:04o}"
    advice = "Apply the playbook to correct it; if others could read it, renew secrets."
    more = f" and {len(wrong) - 1} more are" if len(wrong) > 1 else " is"
    return Finding("secrets.file", status, f"{worst.path}{more} {value}, not {expected}. {advice}", value, expected)


def _judge_value(rules: SecretRules, name: str, holders: Sequence[Holder], running: bool) -> Finding:
    check, least = f"secrets.{name}", rules.min_length
    where = f"{len(holders)} running processes" if running else holders[0].label
    if lacking := [holder.label for holder in holders if name not in holder.secrets]:
        message = f"{name} is not set in {listed(lacking)}. Set it in the vault and apply the playbook."
        return Finding(check, CRITICAL, message, None, least, "characters")
    found = [holder.secrets[name] for holder in holders]
    worst = min(found, key=lambda traits: (traits.weakness is None, traits.bits))
    if worst.weakness:
        message = f"{name} {worst.weakness}. Replace it in the vault and apply the playbook."
        return Finding(check, CRITICAL, message, worst.length, least, "characters")
    if worst.bits < rules.min_bits:
        message = (
            f"{name} is easy to guess: {worst.length} characters, but at most {worst.bits} bits."
            " Replace it by a random one (openssl rand -hex 32)."
        )
        return Finding(check, WARNING, message, worst.bits, rules.min_bits, "bits")
    return Finding(check, OK, f"set, {worst.length} characters, in {where}", worst.length, least, "characters")


def _judge_same(name: str, holder: Holder, others: Sequence[Holder]) -> list[Finding]:
    if name not in holder.secrets:
        return []
    digest = holder.secrets[name].digest
    same = [other for other, found in holder.digests.items() if other != name and found == digest]
    same += [
        f"{found} of {other.label}" for other in others for found, known in other.digests.items() if known == digest
    ]
    if not same:
        return []
    message = f"{name} has the same value as {listed(same)}: who knows one knows both. Give each its own."
    return [Finding(f"secrets.{name}.same", WARNING, message, len(same), 0, "values")]


def _judge_age(names: Sequence[str], holders: Sequence[Holder], declared: Holder | None) -> list[Finding]:
    """Has every process what its file says now, and what is declared?"""
    changed = sorted({path for holder in holders for path in holder.changed_since})
    old = [
        name
        for name in names
        if declared and name in declared.secrets
        for holder in holders
        if name in holder.secrets and holder.secrets[name].digest != declared.secrets[name].digest
    ]
    findings = []
    if changed:
        message = f"{listed(changed)} was changed after the processes were started: they may still have the old value."
        findings.append(Finding("secrets.age", WARNING, f"{message} Apply the playbook.", len(changed), 0, "files"))
    if declared and (distinct := list(dict.fromkeys(old))):
        message = f"the process still has the old value of {listed(distinct)}: {declared.label} has another one."
        findings.append(Finding("secrets.old", WARNING, f"{message} Apply the playbook.", len(distinct), 0, "secrets"))
    return findings


def readings_of(holders: Iterable[Holder]) -> list[dict[str, Any]]:
    """What a module returns: nothing that depends on a value but its length."""
    return [
        {
            "label": holder.label,
            "lengths": {name: traits.length for name, traits in holder.secrets.items()},
            "files": [
                {"path": traits.path, "owner": traits.owner, "mode": f"{traits.mode:04o}"} for traits in holder.files
            ],
            "error": holder.error,
        }
        for holder in holders
    ]
