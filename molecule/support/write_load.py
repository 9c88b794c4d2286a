# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgbench writes to a table of the tests' own cluster for a while: how many writes, and how long the slowest took."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from own_postgresql import NAME, SOCKETS, Postgres

ROWS = 400_000
CLIENTS = 4
LIMIT = 600
UNIT = f"{NAME}-pgbench"
LOG = f"/tmp/{NAME}-pgbench"
SCRIPT = f"""
\\set id random(1, {ROWS})
UPDATE written SET b = b + 1 WHERE id = :id;
INSERT INTO written (a, b, c) VALUES (:id % 1000, :id, md5(:id::text));
"""


@dataclass
class Writes:
    """There when the writing is over."""

    count: int = 0
    seconds: float = 0
    longest: float = 0


def make_table(postgres: Postgres) -> None:
    postgres.file(
        "DROP TABLE IF EXISTS written;"
        "CREATE TABLE written (id bigserial PRIMARY KEY, a int, b int, c text);"
        f"INSERT INTO written (a, b, c) SELECT k % 1000, k, md5(k::text) FROM generate_series(1, {ROWS}) k;"
    )


@contextmanager
def writing(postgres: Postgres) -> Iterator[Writes]:
    """Writes for as long as the block takes, however busy the machine is."""
    host = postgres.host
    host.check_output(f"printf %s {shlex.quote(SCRIPT)} > /run/{UNIT}.sql; rm -f {LOG}.*")
    host.check_output(
        f"systemd-run --quiet --collect --unit={UNIT} --uid=postgres --working-directory=/tmp pgbench -n"
        f" -h {SOCKETS} -p {postgres.port} -f /run/{UNIT}.sql -c {CLIENTS} -T {LIMIT} -l --log-prefix={LOG} postgres"
    )
    postgres.wait_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgbench'")
    seen, began = Writes(), time.monotonic()
    yield seen
    # What it has not written out when it is stopped are the last milliseconds.
    time.sleep(1)
    assert host.run(f"systemctl is-active {UNIT}").stdout.strip() == "active", "the writing ended before the block"
    host.check_output(f"systemctl stop {UNIT}")
    seen.seconds = time.monotonic() - began
    # client, number, microseconds, ...
    count, longest = host.check_output("cat %s.* | awk '{ if ($3 > m) m = $3 } END { print NR, m / 1e6 }'", LOG).split()
    seen.count, seen.longest = int(count), float(longest)
