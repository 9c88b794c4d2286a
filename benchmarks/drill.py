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

import contextlib
import http.client
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "support"))

from backup import DRILL, backup  # noqa: E402
from databases import sql  # noqa: E402
from hosts import HOST, HOSTS, host_of  # noqa: E402

RESULT = Path(__file__).parent / "results" / "drill.md"
ROUNDS = 5
CLIENTS, EACH_SECONDS = 10, 0.1
MEGABYTES = 3072
# The answer says whether the database does.
PATH = "/health"
HEAD = """# A drill beside the service

{requests} requests a second to the health endpoint, which asks the database, through Nginx on {release} with
two cores. Whoever asks shares them, and comes first, since a client elsewhere would not wait for them. The server has
{size} of data. Medians of {rounds} rounds, a drill of {seconds:.0f} s and as long without one, with their range;
{failed} of {sent:,} requests failed.
`make benchmark-drill` writes this file.

| Milliseconds to the answer | Without a drill | Beside a drill | Ratio |
| --- | ---: | ---: | ---: |
"""

# Control groups. Those of version 1 belong to the machine: a container's systemd can't set a quota there.
GROUPS = Path("/sys/fs/cgroup")
LOOK_SECONDS = 0.02

host = host_of(HOST)
address = urlsplit((HOSTS / f"{HOST}.address").read_text(encoding="utf-8").strip()).netloc


@dataclass
class Answers:
    """Milliseconds of each that was good; the others are counted."""

    times: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    def percentile(self, number: int) -> float:
        return statistics.quantiles(self.times, n=100)[number - 1]


def ask(until: Callable[[], bool]) -> Answers:
    """Of all clients, each with a connection of its own."""
    answers, began = Answers(), time.monotonic()

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
    answers.seconds = time.monotonic() - began
    return answers


def beside_a_drill() -> Answers:
    with ThreadPoolExecutor(1) as pool:
        drill = pool.submit(backup, host, "drill")
        answers = ask(drill.done)
        drill.result()
    return answers


def without_a_drill(seconds: float) -> Answers:
    ends = time.monotonic() + seconds
    return ask(lambda: time.monotonic() > ends)


def one_round() -> tuple[Answers, Answers]:
    """Without a drill, as long as beside one."""
    beside = beside_a_drill()
    return without_a_drill(beside.seconds), beside


@contextlib.contextmanager
def its_part_of_the_processor() -> Iterator[None]:
    """What the drill's unit says of it, which systemd sees to on a host: by us, where the container's can't."""
    if not (GROUPS / "cpu").exists():
        yield
        return
    container = host.check_output("sed -n 's/^[0-9]*:cpu:.//p' /proc/1/cgroup")
    processes = GROUPS / "systemd" / container / "system.slice" / DRILL / "cgroup.procs"
    group = GROUPS / "cpu" / container / DRILL
    group.mkdir(exist_ok=True)
    period = int((group / "cpu.cfs_period_us").read_text(encoding="utf-8"))
    milliseconds = int(unit("CPUQuotaPerSecUSec").removesuffix("ms"))
    (group / "cpu.cfs_quota_us").write_text(str(milliseconds * period // 1000), encoding="utf-8")
    (group / "cpu.idle").write_text(str(int(unit("CPUWeight") == "idle")), encoding="utf-8")
    ended = threading.Event()

    def move() -> None:
        while not ended.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError):
                for process in processes.read_text(encoding="utf-8").split():
                    (group / "cgroup.procs").write_text(process, encoding="utf-8")

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        ended.set()
        mover.join()
        group.rmdir()


def unit(name: str) -> str:
    """A property of the drill's."""
    return str(host.check_output(f"systemctl show --property={name} --value {DRILL}"))


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
    with its_part_of_the_processor():
        rounds = [one_round() for _round in range(ROUNDS)]
    every = [answers for pair in rounds for answers in pair]
    head = HEAD.format(
        requests=round(CLIENTS / EACH_SECONDS),
        release=host.check_output(". /etc/os-release; echo $PRETTY_NAME"),
        size=sql(host, "SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database"),
        seconds=statistics.median(beside.seconds for _without, beside in rounds),
        rounds=ROUNDS,
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
