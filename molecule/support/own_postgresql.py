# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL of the tests' own on the host: a cluster beside the service's, never the service's itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hosts import ROOT
from testinfra.host import Host

NAME = "indextest"
PORT = 5499
STANDBY = "indexstandby"
STANDBY_PORT = 5498
SOCKETS = "/var/run/postgresql"
AS_POSTGRES = "env --chdir=/ setpriv --reuid postgres --regid postgres --init-groups"
# A file system in memory that nothing else writes to, most of which a file takes up.
TINY = "/dev/indextest-tiny"


@dataclass(frozen=True)
class Run:
    """What one run of a module said."""

    output: str
    result: dict[str, Any]

    @property
    def actions(self) -> dict[str, str]:
        return {index["name"]: index["action"] for index in self.result["indexes"]}

    @property
    def message(self) -> str:
        return str(self.result["msg"])


@dataclass(frozen=True)
class Postgres:
    host: Host
    version: str
    port: int = PORT

    def sql(self, statement: str, database: str = "postgres") -> list[str]:
        """The lines of a statement's answer."""
        return self.host.check_output(f"{self._psql(database)} -c {shlex.quote(statement)}").splitlines()

    def file(self, script: str) -> None:
        """A script, each statement a transaction of its own."""
        self.host.check_output(f"printf %s {shlex.quote(script)} | {self._psql('postgres')} -f -")

    def _psql(self, database: str) -> str:
        return f"{AS_POSTGRES} psql -XAtq -v ON_ERROR_STOP=1 -h {SOCKETS} -p {self.port} {database}"

    def start(self, indexes: list[dict[str, Any]], *flags: str, **options: Any) -> subprocess.Popen[str]:
        """A run of postgresql_index, running."""
        return start("postgresql_index", {"indexes": indexes, **self._login, **options}, *flags)

    def converge(self, indexes: list[dict[str, Any]], *flags: str, fails: bool = False, **options: Any) -> Run:
        return ended(self.start(indexes, *flags, **options), fails=fails)

    def info(self, **options: Any) -> Run:
        return ended(start("postgresql_index_info", {**self._login, **options}))

    @property
    def _login(self) -> dict[str, Any]:
        return {"login_db": "postgres", "login_unix_socket": SOCKETS, "login_port": self.port}

    def definitions(self, table: str) -> dict[str, str]:
        """The indexes of a table: from USING on, and whether they are valid."""
        rows = self.sql(
            "SELECT json_build_array(c.relname, substring(pg_get_indexdef(c.oid) from ' USING (.*)$'), i.indisvalid)"
            f" FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = '{table}'::regclass"
        )
        return {name: text if valid else f"INVALID {text}" for name, text, valid in map(json.loads, rows)}

    def wait_for(self, condition: str, limit: float = 20) -> None:
        """Until a query gives true."""
        deadline = time.monotonic() + limit
        while self.sql(f"SELECT coalesce(({condition}), false)") != ["t"]:
            assert time.monotonic() < deadline, condition
            time.sleep(0.2)

    @contextmanager
    def holding(self, statements: str, application: str) -> Iterator[None]:
        """A session that has begun a transaction with these statements, and stays in it."""
        unit = f"{NAME}-{application}-{time.monotonic_ns()}"
        script = f"\\set ON_ERROR_STOP 1\nBEGIN;\n{statements}\n\\! sleep 600\n"
        self.host.check_output(f"printf %s {shlex.quote(script)} > /run/{unit}.sql")
        self.host.check_output(
            f"systemd-run --quiet --collect --unit={unit} --uid=postgres --setenv=PGAPPNAME={application}"
            f" psql -Xq -h {SOCKETS} -p {self.port} -f /run/{unit}.sql postgres"
        )
        self.wait_for(
            "SELECT true FROM pg_stat_activity"
            f" WHERE application_name = '{application}' AND state = 'idle in transaction'"
        )
        try:
            yield
        finally:
            self.host.check_output(f"systemctl stop {unit}")
            self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{application}'")
            self.wait_for(f"SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '{application}'")

    def wait_for_build(self) -> None:
        """Until a build of the module's is under way, and its index is in the catalog."""
        self.wait_for(
            "SELECT true FROM pg_stat_progress_create_index p JOIN pg_class c ON c.oid = p.index_relid"
            " WHERE c.relname LIKE 'workbot_new%' AND p.phase LIKE 'waiting%'"
        )


def start(module: str, options: dict[str, Any], *flags: str) -> subprocess.Popen[str]:
    command = [
        "ansible",
        "app",
        "--inventory=molecule/inventory",
        "--become",
        "--become-user=postgres",
        "--diff",
        *flags,
    ]
    return subprocess.Popen(
        [
            *command,
            f"--module-name={module if '.' in module else f'workbot.stability.{module}'}",
            f"--args={json.dumps(options)}",
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(running: subprocess.Popen[str], *, fails: bool = False) -> Run:
    output, _none = running.communicate(timeout=180)
    assert (running.returncode != 0) == fails, output
    answer = re.search(r"^\S+ \| \w+!? => (?={)", output, re.MULTILINE)
    assert answer, output
    result, _end = json.JSONDecoder().raw_decode(output, answer.end())
    return Run(output, result)


def own_postgresql(host: Host) -> Iterator[Postgres]:
    """For a fixture: a cluster of the release's version, with nothing in it."""
    version = host.check_output("ls /usr/lib/postgresql").split()[-1]
    _remove(host, version)
    host.check_output(
        f"pg_createcluster {version} {NAME} --port {PORT} --start"
        " -o fsync=off -o max_connections=40 -o shared_buffers=64MB -o autovacuum=off"
        " --encoding UTF8 --locale C.UTF-8 -- --no-sync"
    )
    postgres = Postgres(host, version)
    yield postgres
    _remove(host, version)


def standby_of(primary: Postgres) -> Postgres:
    """A standby of the cluster, that follows it; it is removed with the cluster."""
    version, host = primary.version, primary.host
    host.check_output(f"pg_createcluster {version} {STANDBY} --port {STANDBY_PORT} -- --no-sync")
    data = f"/var/lib/postgresql/{version}/{STANDBY}"
    host.check_output(
        f"rm -rf {data} && {AS_POSTGRES} pg_basebackup"
        f" --no-sync --checkpoint=fast -R -D {data} -h {SOCKETS} -p {primary.port}"
        f" && pg_ctlcluster {version} {STANDBY} start"
    )
    return Postgres(host, version, STANDBY_PORT)


def _remove(host: Host, version: str) -> None:
    for name in (STANDBY, NAME):
        host.run(f"pg_dropcluster --stop {version} {name}")
    host.run(f"rm -rf {TINY} /run/{NAME}-*")
