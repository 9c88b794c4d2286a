# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the service takes to answer while a drill restores the newest backup beside it, and while none does.

    make benchmark-drill

On the host of molecule, in turns. A request is sent each time it is due, whether or not those before are answered, and
its time counts from then. Who asks has a real-time priority, which takes root. The result is printed and kept in
benchmarks/results/.
"""

from __future__ import annotations

import http.client
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "support"))

from backup import COMMAND, backup  # noqa: E402
from databases import sql  # noqa: E402
from hosts import HOST, HOSTS, host_of  # noqa: E402

RESULT = Path(__file__).parent / "results" / "drill.md"
ROUNDS, SECONDS = 6, 20
CLIENTS, EACH_SECONDS = 10, 0.1
MEGABYTES = 1024
# The answer says whether the database does.
PATH = "/health"
HEAD = """# A drill beside the service

{requests} requests a second to the health endpoint, which asks the database, through Nginx on {release} with
two cores. Whoever asks shares them, and comes first, since a client elsewhere would not wait for them. The server has
{size} of data, and a drill takes {seconds:.0f} s. Medians of {rounds} rounds of {length} s in turns, with their range;
{failed} of {sent:,} requests failed.
`make benchmark-drill` writes this file.

| Milliseconds to the answer | Without a drill | Beside a drill | Ratio |
| --- | ---: | ---: | ---: |
"""

host = host_of(HOST)
address = urlsplit((HOSTS / f"{HOST}.address").read_text(encoding="utf-8").strip()).netloc


@dataclass
class Answers:
    """Milliseconds of each that was good; the others are counted."""

    times: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, number: int) -> float:
        return statistics.quantiles(self.times, n=100)[number - 1]


def ask(until: Callable[[], bool]) -> Answers:
    """Of all clients, each with a connection of its own."""
    answers = Answers()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        due = time.monotonic() + number * EACH_SECONDS / CLIENTS
        while not until():
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                connection.request("GET", PATH)
                answer = connection.getresponse()
                answer.read()
                is_good = answer.status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                is_good = False
                connection.close()
            if is_good:
                answers.times.append(1000 * (time.monotonic() - due))
            else:
                answers.failed += 1
            due += EACH_SECONDS

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    return answers


def without_a_drill() -> Answers:
    ends = time.monotonic() + SECONDS
    return ask(lambda: time.monotonic() > ends)


def beside_a_drill() -> Answers:
    """For as long, of which all is beside one: a drill that has ended is followed by the next one.

    One login starts them all: one for each would be measured as well.
    """
    ends = time.monotonic() + SECONDS
    drills = f"end=$(($(date +%s) + {SECONDS})); while [ $(date +%s) -lt $end ]; do {COMMAND} drill || exit; done"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(host.check_output, drills)
        answers = ask(lambda: time.monotonic() > ends)
        running.result()
    return answers


def fill() -> None:
    sql(host, "CREATE TABLE IF NOT EXISTS measured (n bigint PRIMARY KEY, content text)")
    sql(
        host,
        "INSERT INTO measured SELECT n, md5(n::text) || repeat(md5((n + 1)::text), 30)"
        f" FROM generate_series(1, {MEGABYTES}::bigint * 1000) AS n ON CONFLICT DO NOTHING",
    )
    backup(host, "run", "--full")


def main() -> None:
    fill()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    began = time.monotonic()
    backup(host, "drill")
    seconds = time.monotonic() - began
    rounds = [(without_a_drill(), beside_a_drill()) for _round in range(ROUNDS)]
    every = [answers for pair in rounds for answers in pair]
    head = HEAD.format(
        requests=round(CLIENTS / EACH_SECONDS),
        release=host.check_output(". /etc/os-release; echo $PRETTY_NAME"),
        size=sql(host, "SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database"),
        seconds=seconds,
        rounds=ROUNDS,
        length=SECONDS,
        failed=sum(answers.failed for answers in every),
        sent=sum(answers.failed + len(answers.times) for answers in every),
    )
    RESULT.write_text(head + "".join(row(rounds, number) for number in (50, 95, 99)), encoding="utf-8")
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))
    sql(host, "DROP TABLE measured")


def row(rounds: list[tuple[Answers, Answers]], number: int) -> str:
    sides = [[pair[side].percentile(number) for pair in rounds] for side in (0, 1)]
    ratios = [beside / without for without, beside in zip(*sides, strict=True)]
    cells = [f"{statistics.median(side):.1f} ({min(side):.1f}-{max(side):.1f})" for side in sides]
    return f"| {number}th percentile | {' | '.join(cells)} | {statistics.median(ratios):.2f} |\n"


if __name__ == "__main__":
    main()
