# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database host's backups, of which the app hosts know, and its way back in time while their service is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from backup import backup, drop_a_table, is_there
from databases import sql
from fleet import APPS, DATABASE, answers, apply, site
from hosts import host_of, power_off, power_on
from waiting import until

VARIABLES = {"backup_directory": "/srv/backup", "backup_passphrase": "a-passphrase-for-tests-alone"}


def option(**variables: str | bool) -> str:
    return f"--extra-vars={json.dumps({**VARIABLES, **variables})}"


@pytest.fixture(scope="module", autouse=True)
def backups() -> Iterator[None]:
    site(option())
    backup(host_of(DATABASE), "run")
    yield
    site(option(backup_removed=True))


@pytest.fixture
def kept() -> Iterator[str]:
    """A time at which there was a table that there is no more, and a server as of then beside the running one."""
    server = host_of(DATABASE)
    moment = drop_a_table(server)
    backup(server, "restore", "--time", moment)
    yield moment
    server.check_output("postgresql-backup forget && postgresql-backup forget --replaced")
    sql(server, "DROP TABLE IF EXISTS kept")


def begun(*names: str) -> list[str]:
    """When the service was started on each of these, on all app hosts if none is named."""
    ask = "systemctl show workbot --property=ActiveEnterTimestampMonotonic"
    return [host_of(name).check_output(ask) for name in names or APPS]


def test_the_app_hosts_know_of_them() -> None:
    for name in APPS:
        found = json.loads(host_of(name).run("workbot-diagnose --check backup --json").stdout)["findings"]
        assert [(one["check"], one["status"]) for one in found] == [
            (f"backup.{check}", "ok") for check in ("newest", "restore", "archive")
        ], found


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("limit", [f"{APPS[0]},{DATABASE}", ",".join(APPS)])
def test_a_part_of_the_hosts_is_refused(limit: str) -> None:
    before = begun()
    run = apply("restore", f"--limit={limit}", option(restore_in_place="workbot"))
    assert run.returncode == 2, run.stdout
    expected = f"--limit leaves out {', '.join(APPS[1:])}" if DATABASE in limit else "No host of this run has a server"
    assert expected in " ".join(run.stdout.split())
    assert (begun(), is_there(host_of(DATABASE))) == (before, False)


@pytest.mark.usefixtures("kept")
def test_where_a_host_is_away_nothing_is_stopped() -> None:
    """Its service would go on with what it knows of the other server."""
    power_off(APPS[2])
    try:
        before = begun(*APPS[:2])
        run = apply("restore", option(restore_in_place="workbot"))
        assert run.returncode not in (0, 1), run.stdout
        assert "Stop the service" not in run.stdout
        assert (begun(*APPS[:2]), is_there(host_of(DATABASE))) == (before, False)
    finally:
        power_on(APPS[2])
        until("the host is back", lambda: answers(APPS[2]))


@pytest.mark.usefixtures("kept")
def test_the_service_is_stopped_on_all_hosts_and_healthy_on_all_afterwards() -> None:
    before = begun()
    run = apply("restore", option(restore_in_place="workbot"))
    assert run.returncode == 0, run.stdout
    assert is_there(host_of(DATABASE))
    assert [name for name in APPS if not answers(name)] == []
    assert [name for name, then, now in zip(APPS, before, begun(), strict=True) if then == now] == []
