# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository host makes of the requests in its repository; the scenario fleet has the real pgBackRest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import pgbackrest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_host import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_host.cli import Requests


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of whose stanzas `broken` can't be backed up, and `slow` takes a second."""
    program = tmp_path / "pgbackrest"
    program.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/called
case "$*" in
  *stanza-create) ;;
  *=broken*) echo "ERROR: [056]: unable to find primary cluster" >&2; exit 56 ;;
  *=slow*) sleep 1 ;;
esac
""")
    program.chmod(0o755)
    monkeypatch.setattr(pgbackrest, "PROGRAM", str(program))
    monkeypatch.setattr(cli, "_SIGN_SECONDS", 0.1)
    for name in ("requests", "answers"):
        (tmp_path / name).mkdir()
    return tmp_path


def ask(repository: Path, stanza: str, text: str, age: int = 0) -> None:
    file = repository / "requests" / f"{stanza}.json"
    file.write_text(text)
    os.utime(file, (1_000_000 - age, 1_000_000 - age))


def answer(repository: Path, stanza: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((repository / "answers" / f"{stanza}.json").read_text())
    return found


def called(repository: Path) -> list[str]:
    """The stanza and the kind of each backup that was made."""
    lines = [line for line in (repository / "called").read_text().splitlines() if line.endswith(" backup")]
    return [f"{words[0].removeprefix('--stanza=')} {words[-2]}" for words in map(str.split, lines)]


def test_each_is_made_once_the_oldest_first(repository: Path) -> None:
    ask(repository, "db2", '{"name": "b", "full": false}')
    ask(repository, "db1.example.org", '{"name": "a", "full": true}', age=10)
    assert Requests(repository).fulfil() == ["db1.example.org: a backup is made", "db2: a backup is made"]
    assert called(repository) == ["db1.example.org --type=full", "db2 --type=diff"]
    assert (answer(repository, "db2")["name"], answer(repository, "db2")["ended"]) == ("b", True)
    assert Requests(repository).fulfil() == []


def test_a_failure_is_told_and_keeps_no_other_from_its_backup(repository: Path) -> None:
    ask(repository, "broken", '{"name": "a"}', age=10)
    ask(repository, "db2", '{"name": "b"}')
    Requests(repository).fulfil()
    assert answer(repository, "broken")["error"].startswith("`pgbackrest backup` failed: ERROR: [056]")
    assert answer(repository, "db2") == {"name": "b", "ended": True, "error": "", "sign_of_life": 0}


def test_whoever_waits_hears_something(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    save = cli.save_json

    def note(path: Path, content: dict[str, Any]) -> None:
        told.append((path.stem, content["name"]))
        save(path, content)

    monkeypatch.setattr(cli, "save_json", note)
    ask(repository, "slow", '{"name": "a"}', age=10)
    ask(repository, "db2", '{"name": "b"}')
    Requests(repository).fulfil()
    before = told[: told.index(("db2", "b")) + 1]
    assert before == [("slow", "a"), ("db2", "b")]
    assert told.count(("db2", "b")) > 2


@pytest.mark.parametrize("text", ["", "{", '"a"', "[]", '{"full": true}', "x" * 20_000])
def test_what_is_no_request_goes(repository: Path, text: str) -> None:
    ask(repository, "db1", text)
    ask(repository, "--repo1-path", '{"name": "a"}')
    (repository / "requests" / "db1.json.pgbackrest.tmp").write_text("half")
    assert Requests(repository).fulfil() == []
    assert not (repository / "called").exists()
    assert [path.name for path in (repository / "requests").iterdir()] == ["db1.json.pgbackrest.tmp"]


def test_a_link_leads_nowhere(repository: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"name": "a"}')
    (repository / "requests" / "db1.json").symlink_to(secret)
    Requests(repository).fulfil()
    assert secret.exists()
    assert list((repository / "requests").iterdir()) == []
