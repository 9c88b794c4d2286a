# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service has in the PostgreSQL server of its host: the way in, and its database with the roles, which is data.

The server is asked as Debian's administrator asks it: psql as the user postgres, over the socket. So nothing is needed
that a host with a server does not have.
"""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .._host.atomic import save
from .._host.command import PLAIN, quiet_run
from .._host.errors import StabilityError
from .._postgresql.access import without_block
from .._postgresql.client import SAFE_PATH, literal, quoted
from .._service.footprint import HBA, Service, Step, belongings
from .files import found

_PSQL = "/usr/bin/psql"
_SECONDS = 60
_COMMENT = re.compile(r"#.*")


@dataclass(frozen=True)
class Database:
    """The service's database and roles as they are on the server. `problem`: why they can't be told."""

    name: str = ""
    roles: tuple[str, ...] = ()
    problem: str = ""
    kept: str = ""
    """Why they stay whatever is wanted: others use them as well."""

    @property
    def there(self) -> bool:
        return bool(self.name or self.roles)

    def words(self) -> str:
        parts = [f"database {self.name}"] if self.name else []
        return " and ".join([*parts, *([f"roles {', '.join(self.roles)}"] if self.roles else [])])


def access_files(service: Service) -> list[str]:
    """The files that have a block of the service."""
    files = [path for thing in belongings(service, Step.ACCESS) for path in found(thing.path)]
    return [path for path in files if (text := _text(path)) != without_block(text, service.marker)]


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def close_access(service: Service) -> None:
    """Remove the service's blocks, and have a server that runs read its files."""
    for path in access_files(service):
        status = Path(path).stat()
        content = without_block(_text(path), service.marker).encode("utf-8", errors="surrogateescape")
        owner = (status.st_uid, status.st_gid)
        save(Path(path), content, stat.S_IMODE(status.st_mode), owner, durable=True)
    reload()


def reload() -> None:
    """A server that does not run reads its files when it is started."""
    with contextlib.suppress(StabilityError):
        sql("SELECT pg_reload_conf()")


def strangers(service: Service, hba: str) -> list[str]:
    """Lines of a pg_hba.conf, none of the service's own, that name its database or one of its roles."""
    own = {service.database, *service.database_roles}
    lines = [_COMMENT.sub("", line).split() for line in without_block(hba, service.marker).splitlines()]
    named = [line for line in lines if own & {word.strip('"') for field in line[1:3] for word in field.split(",")}]
    return [" ".join(line) for line in named]


def read_database(service: Service) -> Database:
    """Nothing where the host has no server."""
    files = found(HBA)
    if not (files and Path(_PSQL).exists()):
        return Database()
    foreign = [line for path in files for line in strangers(service, _text(path))]
    roles = ", ".join(literal(role) for role in service.database_roles)
    try:
        # A database of that name with another owner is not one that the role postgresql has made.
        database = sql(
            f"SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba"
            f" WHERE datname = {literal(service.database)} AND r.rolname IN ({roles})"
        )
        present = sql(f"SELECT rolname FROM pg_roles WHERE rolname IN ({roles}) AND NOT rolsuper ORDER BY rolname")
    except StabilityError as error:
        return Database(problem=str(error))
    read = Database("".join(database.splitlines()), tuple(present.splitlines()))
    if foreign and read.there:
        return Database(kept=f"{read.words()}: pg_hba.conf lets somebody else in as well ({'; '.join(foreign)})")
    return read


def drop(database: Database) -> None:
    """The database first: then the roles own nothing any more. Raises StabilityError with the server's words."""
    if database.name:
        sql(f"DROP DATABASE IF EXISTS {quoted(database.name)} WITH (FORCE)")
    for role in database.roles:
        sql(f"DROP ROLE IF EXISTS {quoted(role)}")


def sql(statement: str) -> str:
    """The lines of a statement's answer. Raises StabilityError."""
    command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    try:
        done = quiet_run(
            [*command, _PSQL, "-XAtq", "--dbname=postgres", "--set=ON_ERROR_STOP=1", "--file=-"],
            _SECONDS,
            {**PLAIN, "PGCONNECT_TIMEOUT": "5", "PGOPTIONS": f"-c search_path={SAFE_PATH}"},
            stdin=statement,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StabilityError(f"PostgreSQL can't be asked: {error}") from error
    if done.returncode:
        raise StabilityError(f"PostgreSQL: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout
