# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository host makes of the requests in its repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_repository import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_repository.cli import Requests
from backup_repository import called, repository

__all__ = ["repository"]


def ask(repository: Path, stanza: str, text: str, age: int = 0) -> None:
    file = repository / "requests" / f"{stanza}.json"
    file.write_text(text)
    os.utime(file, (1_000_000 - age, 1_000_000 - age))


def answer(repository: Path, stanza: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((repository / "answers" / f"{stanza}.json").read_text())
    return found


def test_each_is_made_once_the_oldest_first(repository: Path) -> None:
    ask(repository, "db2", '{"id": "b", "full": false}')
    ask(repository, "db1.example.org", '{"id": "a", "full": true}', age=10)
    assert Requests(repository).fulfil() == ["db1.example.org: a backup is made", "db2: a backup is made"]
    assert called(repository) == ["db1.example.org --type=full", "db2 --type=diff"]
    assert (answer(repository, "db2")["id"], answer(repository, "db2")["ended"]) == ("b", True)
    assert Requests(repository).fulfil() == []


def test_a_failure_is_reported_and_keeps_no_other_from_its_backup(repository: Path) -> None:
    ask(repository, "broken", '{"id": "a"}', age=10)
    ask(repository, "db2", '{"id": "b"}')
    Requests(repository).fulfil()
    assert answer(repository, "broken")["error"].startswith("`pgbackrest backup` failed: ERROR: [056]")
    assert answer(repository, "db2") == {"id": "b", "ended": True, "error": "", "heartbeat": 0}


def test_whoever_waits_gets_heartbeats(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, str]] = []
    save = cli.save_json

    def note(path: Path, content: dict[str, Any]) -> None:
        written.append((path.stem, content["id"]))
        save(path, content)

    monkeypatch.setattr(cli, "save_json", note)
    ask(repository, "slow", '{"id": "a"}', age=10)
    ask(repository, "db2", '{"id": "b"}')
    Requests(repository).fulfil()
    assert written[:3] == [("slow", "a"), ("db2", "b"), ("slow", "a")]
    assert written.count(("db2", "b")) > 2


@pytest.mark.parametrize("text", ["", "{", '"a"', "[]", '{"full": true}', "x" * 20_000])
def test_what_is_no_request_is_removed(repository: Path, text: str) -> None:
    ask(repository, "db1", text)
    ask(repository, "--repo1-path", '{"id": "a"}')
    (repository / "requests" / "db2.json" / "full").mkdir(parents=True)
    (repository / "requests" / "db1.json.pgbackrest.tmp").write_text("half")
    assert Requests(repository).fulfil() == []
    assert called(repository) == []
    assert [path.name for path in (repository / "requests").iterdir()] == ["db1.json.pgbackrest.tmp"]


def test_a_link_is_no_request(repository: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"id": "a"}')
    (repository / "requests" / "db1.json").symlink_to(elsewhere)
    assert Requests(repository).fulfil() == []
    assert called(repository) == []
    assert elsewhere.exists()
    assert list((repository / "requests").iterdir()) == []
