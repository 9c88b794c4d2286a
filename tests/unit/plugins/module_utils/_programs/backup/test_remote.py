# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database host asks for a backup and waits for it; here both ends share a directory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import BackupError
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import remote
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.remote import RemotePgBackRest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_repository.cli import Requests
from backup_repository import SLOW_SECONDS, called, repository

__all__ = ["repository"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 0.05)
    monkeypatch.setattr(remote, "HEARTBEAT_TIMEOUT", SLOW_SECONDS - 0.5)


@pytest.fixture
def host(repository: Path) -> Iterator[None]:
    """The repository host, which looks for requests."""
    end = threading.Event()

    def serve() -> None:
        while not end.wait(0.05):
            Requests(repository).fulfil()

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("host")
def test_a_backup_that_takes_longer_than_the_timeout_is_waited_for(repository: Path) -> None:
    RemotePgBackRest("slow", "keeper1").backup(full=True)
    assert called(repository) == ["slow --type=full"]


@pytest.mark.usefixtures("host")
def test_why_it_failed_is_reported_here() -> None:
    with pytest.raises(BackupError, match="unable to find primary cluster"):
        RemotePgBackRest("broken", "keeper1").backup(full=False)


def test_a_host_that_makes_none_is_named(repository: Path) -> None:
    (repository / "answers" / "db1.json").write_text('{"id": "of another request", "ended": true}')
    with pytest.raises(BackupError, match="the repository host keeper1 has not answered for 3 s"):
        RemotePgBackRest("db1", "keeper1").backup(full=False)


def test_where_nobody_can_be_let_in_it_is_reported_at_once(repository: Path) -> None:
    (repository / "server").write_text("#!/bin/sh\necho 'ERROR: [103]: unable to bind socket' >&2\nexit 103\n")
    with pytest.raises(BackupError, match="unable to bind socket"):
        RemotePgBackRest("db1", "keeper1").backup(full=False)
