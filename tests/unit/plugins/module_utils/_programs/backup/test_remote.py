# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's host asks for a backup and waits for it. Both ends share a directory; the scenario fleet has real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import pgbackrest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import BackupError
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import remote
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.remote import RemotePgBackRest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_host import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_host.cli import Requests


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "pgbackrest"
    program.write_text(f"""#!/bin/sh
for file; do :; done
case "$*" in
  *' repo-put '*) cat > {tmp_path}/$file ;;
  *' repo-get '*) cat {tmp_path}/$file || exit 1 ;;
  *' server') exec {tmp_path}/server ;;
  *=broken*' backup') echo 'ERROR: [056]: unable to find primary cluster' >&2; exit 56 ;;
  *' backup') sleep 3.5 ;;
esac
""")
    (tmp_path / "server").write_text("#!/bin/sh\nexec sleep 60\n")
    for name in ("pgbackrest", "server"):
        (tmp_path / name).chmod(0o755)
    for name in ("requests", "answers"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(pgbackrest, "PROGRAM", str(program))
    monkeypatch.setattr(remote, "_PAUSE", 0.05)
    monkeypatch.setattr(remote, "_SILENT_SECONDS", 3.0)
    monkeypatch.setattr(cli, "_SIGN_SECONDS", 0.1)
    return tmp_path


@pytest.fixture
def host(repository: Path) -> Iterator[None]:
    """The repository host, which looks for requests."""
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.05):
            Requests(repository).fulfil()

    thread = threading.Thread(target=look)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("host")
def test_a_backup_that_takes_longer_than_silence_may_is_waited_for() -> None:
    RemotePgBackRest("db1", "keeper1").backup(full=True)


@pytest.mark.usefixtures("host")
def test_why_it_failed_is_told_here() -> None:
    with pytest.raises(BackupError, match="unable to find primary cluster"):
        RemotePgBackRest("broken", "keeper1").backup(full=False)


def test_a_host_that_makes_none_is_named(repository: Path) -> None:
    (repository / "answers" / "db1.json").write_text('{"name": "of another request", "ended": true}')
    with pytest.raises(BackupError, match=r"see backup-repository\.service on keeper1"):
        RemotePgBackRest("db1", "keeper1").backup(full=False)


def test_where_nobody_can_be_let_in_it_is_told_at_once(repository: Path) -> None:
    (repository / "server").write_text("#!/bin/sh\necho 'ERROR: [103]: unable to bind socket' >&2\nexit 103\n")
    with pytest.raises(BackupError, match="unable to bind socket"):
        RemotePgBackRest("db1", "keeper1").backup(full=False)
