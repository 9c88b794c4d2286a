# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that does not answer: the service goes on, people hear of it, and what waits is bounded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup import LOAD, another_repository, backup, fails, findings
from databases import sql
from deployments import assert_unnoticed, load
from prediction import play
from testinfra.host import Host
from waiting import until

OPTIONS = ("--inventory=molecule/backup/inventory", "--tags=backup,immediate")
# A file of changes is 16 MB: two are more than a fifth of it, five more than half.
LIMIT = {"backup_wal_limit": "128M"}
SECONDS = 120
WAITING = "ls /var/lib/postgresql/*/main/pg_wal/archive_status/ | grep -c ready || true"


@pytest.fixture(scope="module", autouse=True)
def _limited(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("plays")
    play(folder, *OPTIONS, variables=LIMIT)
    backup(host, "run", "--full")
    yield
    play(folder, *OPTIONS)


def gone(host: Host) -> contextlib.AbstractContextManager[None]:
    """The repository, as when a disk is not mounted: what is below it is root's."""
    return another_repository(host, "root", "0755")


def change(host: Host, files: int) -> None:
    """So many files full of changes."""
    for _number in range(files):
        sql(host, "SELECT pg_current_xact_id()")
        sql(host, "SELECT pg_switch_wal()")


def archive(host: Host) -> str:
    return str(findings(host)["backup.archive"]["status"])


def test_the_service_goes_on_and_people_hear_of_it_long_before_the_limit(host: Host, address: str) -> None:
    with load(address, *LOAD) as tally:
        with gone(host):
            change(host, 1)
            until("the finding that archiving fails", lambda: archive(host) == "warning", SECONDS)
            assert "archiving fails" in findings(host)["backup.archive"]["message"]
            change(host, 5)
            until("the finding that much waits", lambda: archive(host) == "critical", SECONDS)
        until("it catches up", lambda: archive(host) == "ok", SECONDS)
    assert_unnoticed(tally, methods=("GET",))
    # nothing was given up
    assert "found good" in backup(host, "drill")


def test_beyond_the_limit_changes_are_given_up_and_people_hear_of_it_until_there_is_a_backup(host: Host) -> None:
    with gone(host):
        change(host, 14)
        until("no more than the limit waits", lambda: int(host.check_output(WAITING)) <= 9, SECONDS)
        assert findings(host)["backup.newest"]["status"] == "critical"
        assert "changes were given up" in findings(host)["backup.newest"]["message"]
    until("it catches up", lambda: archive(host) == "ok", SECONDS)
    assert findings(host)["backup.newest"]["status"] == "critical"
    assert "A file of changes (WAL) is missing" in fails(host, "drill")
    # as the timer does
    host.check_output("systemctl start postgresql-backup.service")
    assert findings(host)["backup.newest"]["status"] == "ok"
    assert "found good" in backup(host, "drill")
