# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The longest that a write stalls while an index is made or replaced: this collection, plain SQL and postgresql_idx.

Runs on the host of the molecule scenarios, in a PostgreSQL of its own, and writes the result beside this file:
`make benchmark-indexes`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "support"))

from hosts import HOST, host_of  # noqa: E402
from own_postgresql import SOCKETS, Postgres, ended, own_postgresql, start  # noqa: E402
from write_load import CLIENTS, ROWS, make_table, writing  # noqa: E402

RESULT = Path(__file__).parent / "results" / "indexes.md"
RIGHT = "btree (c, b)"
WRONG = "CREATE INDEX written_c ON written (c)"
HEAD = """# Indexes under writes

{clients} pgbench clients insert into and update a table of {rows:,} rows, PostgreSQL {version} with fsync off, while an
index on (c, b) is made, or replaces one on (c) of the same name. `make benchmark-indexes` writes this file.

| Index | Way | Seconds | Longest write stall (s) | Writes per second | Index afterwards |
| --- | --- | ---: | ---: | ---: | --- |
"""


def ours(postgres: Postgres) -> None:
    postgres.converge([{"name": "written_c", "table": "written", "columns": ["c", "b"]}])


def plain(postgres: Postgres) -> None:
    postgres.file("DROP INDEX IF EXISTS written_c; CREATE INDEX written_c ON written (c, b);")


def peer(postgres: Postgres) -> None:
    login = {"login_db": "postgres", "login_unix_socket": SOCKETS, "login_port": postgres.port}
    options = {"name": "written_c", "table": "written", "columns": ["c", "b"], **login}
    ended(start("community.postgresql.postgresql_idx", options))


WAYS: dict[str, Callable[[Postgres], None]] = {
    "postgresql_index": ours,
    "DROP and CREATE INDEX": plain,
    "community.postgresql.postgresql_idx": peer,
}


def measure(postgres: Postgres, before: str, way: Callable[[Postgres], None]) -> str:
    make_table(postgres)
    if before:
        postgres.sql(before)
    with writing(postgres) as writes:
        time.sleep(2)
        began = time.monotonic()
        way(postgres)
        seconds = time.monotonic() - began
    found = postgres.definitions("written").get("written_c", "none")
    verdict = "as wanted" if found == RIGHT else f"wrong: {found}"
    return f"{seconds:.1f} | {writes.longest:.2f} | {writes.count / writes.seconds:,.0f} | {verdict} |"


def main() -> None:
    host = host_of(HOST)
    clusters = own_postgresql(host)
    postgres = next(clusters)
    version = json.loads(postgres.sql("SELECT to_json(current_setting('server_version'))")[0]).split()[0]
    lines = [
        f"| {'missing' if not before else 'wrong'} | {name} | {measure(postgres, before, way)}\n"
        for before in ("", WRONG)
        for name, way in WAYS.items()
    ]
    next(clusters, None)
    RESULT.write_text(HEAD.format(clients=CLIENTS, rows=ROWS, version=version) + "".join(lines), encoding="utf-8")
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
