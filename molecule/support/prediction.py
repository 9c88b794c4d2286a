# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run in check mode said, against what the run then did, and against a host that it must not touch."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts import ROOT
from testinfra.host import Host

SUPPORT = Path(__file__).parent
# What only the run can say: which variables changed. Check mode is handed a digest of the new environment, no secrets.
# The task itself must be announced all the same.
UNKNOWN = ("the environment file would change",)
# (host, "role : task" or handler, item of the loop): how often, since a handler may run twice.
Changes = Counter[tuple[str, str, str]]


@dataclass(frozen=True)
class Record:
    """What molecule/support/callbacks/record.py wrote down of one run."""

    failed: list[str]
    changed: list[dict[str, Any]]

    @classmethod
    def of(cls, path: Path) -> Record:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def changes(self) -> Changes:
        return Counter((entry["host"], entry["task"], entry["item"]) for entry in self.changed)

    def contents(self) -> dict[tuple[str, ...], str]:
        """What each change says is there afterwards, by task and by file; only of what has a diff."""
        return {
            (entry["task"], entry["item"], str(part.get("before_header", ""))): _text(part["after"])
            for entry in self.changed
            for part in entry["diff"]
            if part.get("after")
        }


def _text(after: object) -> str:
    return after if isinstance(after, str) else json.dumps(after, indent=1, sort_keys=True)


def differences(check: Record, run: Record) -> list[str]:
    """Where check mode and the run do not agree, for people; none when it predicted exactly what happened."""
    said, done = check.changes(), run.changes()
    problems = [f"failed on {', '.join(record.failed)}" for record in (check, run) if record.failed]
    problems += [f"announced, but did not happen: {_name(key)}" for key in said - done]
    problems += [f"happened unannounced: {_name(key)}" for key in done - said]
    announced, found = check.contents(), run.contents()
    for key in sorted(announced.keys() & found.keys()):
        if announced[key] != found[key] and not any(unknown in announced[key] for unknown in UNKNOWN):
            problems.append(f"{' '.join(filter(None, key))}: not as announced{_diff(announced[key], found[key])}")
    return problems


def _name(key: tuple[str, str, str]) -> str:
    _host, task, item = key
    return f"{task} ({item})" if item else task


def play(folder: Path, *options: str, variables: Mapping[str, Any] | None = None, name: str = "site") -> Record:
    """Runs a playbook of the collection as a user does; folder is for the records of this check and this run."""
    run = subprocess.run(
        [
            "ansible-playbook",
            "--inventory=molecule/inventory",
            "--diff",
            *options,
            f"--extra-vars={json.dumps(variables or {})}",
            f"workbot.stability.{name}",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(SUPPORT / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "RUN_RECORDS": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return Record.of(folder / f"{name}-{'check' if '--check' in options else 'run'}.json")


def state(host: Host) -> dict[str, str]:
    """All of the host that a run could change, as molecule/support/state_of_host.py sees it."""
    script = (SUPPORT / "state_of_host.py").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(host.check_output("/usr/bin/python3 -c %s", script))
    return found


def touched(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is not as it was, for people."""
    return [
        f"{what}:{_diff(before.get(what, 'not there'), after.get(what, 'not there'))}"
        for what in sorted(before.keys() | after.keys())
        if before.get(what) != after.get(what)
    ]


def _diff(left: str, right: str) -> str:
    lines = [*difflib.unified_diff(left.splitlines(), right.splitlines(), n=0, lineterm="")][2:]
    return "".join(f"\n    {line}" for line in lines)
