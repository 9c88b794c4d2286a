# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups of a test host's database server, by the command that a person has for them."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator
from typing import Any

from databases import sql
from testinfra.backend.base import CommandResult
from testinfra.host import Host

COMMAND = "postgresql-backup"
STATE = "/var/lib/postgresql-backup"
REPOSITORY = "/srv/backup/pgbackrest"
STANZA = "workbot-test"
RESTORED = "/run/postgresql-restored"
DRILL = "postgresql-backup-drill.service"
# whose answer says whether the database does
LOAD = ("--path=/health", "--methods=GET", "--connections=4")

WRITER = """
i=0
while :; do i=$((i + 1)); echo "INSERT INTO commits VALUES ($i, clock_timestamp()) RETURNING n, at;"; sleep 0.05; done |
  psql --no-psqlrc --quiet --tuples-only --no-align --dbname=workbot
"""


def backup(host: Host, *arguments: str) -> str:
    """What the command says."""
    return str(host.check_output(f"{COMMAND} {shlex.join(arguments)}"))


def fails(host: Host, *arguments: str) -> str:
    """What it complains of."""
    done: CommandResult = host.run(f"{COMMAND} {shlex.join(arguments)}")
    assert done.rc == 1, done.stdout + done.stderr
    return str(done.stderr)


@contextlib.contextmanager
def another_repository(host: Host, owner: str = "postgres", mode: str = "0750") -> Iterator[None]:
    """An empty one in the place of the repository, which is put back."""
    empty = f"install -d -o {owner} -g {owner} -m {mode} {REPOSITORY}"
    host.check_output(f"mv {REPOSITORY} {REPOSITORY}.kept && {empty}")
    try:
        yield
    finally:
        host.check_output(f"rm -rf {REPOSITORY} && mv {REPOSITORY}.kept {REPOSITORY}")


def pgbackrest(host: Host, *arguments: str) -> str:
    return str(
        host.check_output(f"cd / && runuser -u postgres -- pgbackrest --stanza={STANZA} {shlex.join(arguments)}")
    )


def backups(host: Host) -> list[dict[str, Any]]:
    """As pgBackRest itself lists them."""
    stanzas = json.loads(pgbackrest(host, "--output=json", "info"))
    found: list[dict[str, Any]] = stanzas[0]["backup"]
    return found


def state(host: Host, name: str) -> dict[str, Any]:
    """What the command has left for others: of the backup or the drill."""
    found: dict[str, Any] = json.loads(host.file(f"{STATE}/{name}.json").content_string)
    return found


def findings(host: Host) -> dict[str, dict[str, Any]]:
    """What the service's diagnosis says of the backups."""
    done = host.run("workbot-diagnose --check backup --json")
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def now(host: Host) -> str:
    """In a second in which nothing else is done."""
    time.sleep(1.1)
    moment = sql(host, "SELECT date_trunc('second', clock_timestamp())")
    time.sleep(1.1)
    return moment


def drop_a_table(host: Host) -> str:
    """The time at which it was still there."""
    sql(host, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 1 AS n")
    moment = now(host)
    sql(host, "DROP TABLE kept")
    return moment


def is_there(host: Host, table: str = "kept") -> bool:
    return sql(host, f"SELECT to_regclass('{table}') IS NOT NULL") == "t"


@contextlib.contextmanager
def writing(host: Host) -> Iterator[None]:
    """Numbers, each a commit."""
    sql(host, "DROP TABLE IF EXISTS commits; CREATE TABLE commits (n int, at timestamptz)")
    # on a host whose control groups do not tell that they are empty an earlier one is still known
    unit = f"commits-{time.monotonic_ns()}"
    host.check_output(f"systemd-run --quiet --collect --unit={unit} --uid=postgres /bin/sh -c %s", WRITER)
    try:
        yield
    finally:
        host.run(f"systemctl stop {unit}")


def restored_sql(host: Host, statement: str) -> str:
    return str(
        host.check_output(
            f"cd / && runuser -u postgres -- psql --host={RESTORED} --no-psqlrc --quiet --tuples-only --no-align"
            " --dbname=workbot --command=%s",
            statement,
        )
    )
