# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a first and a second run take: site.yml with and without mitogen, and peers that set up the same service.

Makes hosts of its own by molecule/default, reaches them over SSH, and writes the result beside this file:
`make benchmark-speed`. The ways take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from peers import WORK, payload

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".cache/benchmark"
RESULT = Path(__file__).parent / "results" / "speed.md"
INVENTORY = "benchmarks/inventory"
SSH_CONFIG = ROOT / ".cache/hosts/ssh_config"
# First runs at once: on the machine that all hosts share, twenty npms at a time would take longer than they have.
AT_ONCE = 5
HEAD = """# How long a run takes

`make benchmark-speed` writes this file: {cores} cores for the controller and all hosts together, SSH with pipelining
and kept connections, medians of {repetitions} first and {seconds} second runs, the ways in turns. A first run starts
from a bare Debian host; a second one changes nothing. CPU is the controller's, of the second run.

The peers (`benchmarks/peers/`) set up the same service: packages, Node.js, PM2 and its unit, PostgreSQL with role,
database and indexes, the build, Nginx, log rotation and an hourly health check. Ours does that and more: releases side
by side, the watchdog, the diagnosis, every value checked before and compared after.

"""


@dataclass(frozen=True)
class Way:
    """A way to set the service up: a command in which {host} stands for the host."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run cost: seconds, and the controller's processor seconds."""

    wall: float
    cpu: float


class FailedError(Exception):
    """A run failed; the text is the end of what it said."""


def mitogen() -> dict[str, str]:
    """The environment that turns mitogen's strategy on."""
    (strategy,) = TOOLS.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy")
    return {"ANSIBLE_STRATEGY_PLUGINS": str(strategy), "ANSIBLE_STRATEGY": "mitogen_linear"}


def ways() -> list[Way]:
    playbook = ["ansible-playbook", "-i", INVENTORY, "--limit", "{host}"]
    pyinfra = [str(TOOLS / "bin/pyinfra"), "-y", "--sudo", "--data", f"ssh_config_file={SSH_CONFIG}"]
    pyinfra += ["--data", f"ssh_known_hosts_file={WORK}/known_hosts", "@ssh/{host}"]
    unpack = "mkdir -p /root/shop && cd /root/shop && tar -xz && bash shell.sh"
    shell = f"tar -cz -C {WORK} . | ssh -F {SSH_CONFIG} {{host}} 'sudo sh -c \"{unpack}\"'"
    peers = "benchmarks/peers"
    return [
        Way("site.yml", [*playbook, "playbooks/site.yml"]),
        Way("site.yml, mitogen", [*playbook, "playbooks/site.yml"], mitogen()),
        Way("usual playbook", [*playbook, f"{peers}/usual.yml"]),
        Way("usual playbook, mitogen", [*playbook, f"{peers}/usual.yml"], mitogen()),
        Way("pyinfra", [*pyinfra, f"{peers}/pyinfra_usual.py"]),
        Way("pyinfra, tuned", [*pyinfra, f"{peers}/pyinfra_tuned.py"]),
        Way("shell script", ["bash", "-c", f"set -o pipefail; {shell}"]),
    ]


def run(way: Way, hosts: Sequence[str]) -> Run:
    """Run the way on the hosts. Raises FailedError."""
    names = ",".join(hosts)
    command = [part.replace("{host}", names) for part in way.command]
    environment = {**os.environ, "SPEED_WORK": str(WORK), "ANSIBLE_FORKS": str(max(5, len(hosts))), **way.environment}
    before, begun = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - begun, os.times()
    if done.returncode:
        raise FailedError(f"{way.name} failed on {names}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{way.name:24} {len(hosts):3} hosts {wall:7.1f} s, {cpu:5.1f} s CPU", flush=True)
    return Run(wall, cpu)


@contextmanager
def hosts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Hosts as bare as Debian is, for as long as they are needed."""
    _molecule("destroy", names)
    try:
        _molecule("create", names)
        yield names
    finally:
        _molecule("destroy", names)


def _molecule(playbook: str, names: Sequence[str]) -> None:
    argv = ["ansible-playbook", "-i", INVENTORY, "--limit", ",".join(names), f"molecule/default/{playbook}.yml"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The hosts can't be made or removed:\n{done.stdout[-4000:]}")


def compare(chosen: Sequence[Way], repetitions: int, seconds: int) -> dict[str, tuple[list[Run], list[Run]]]:
    """Each way on a host of its own, anew each time: first runs and second runs. One that fails is left out."""
    found: dict[str, tuple[list[Run], list[Run]]] = {way.name: ([], []) for way in chosen}
    names = {way.name: f"speed-{number:02}" for number, way in enumerate(ways(), 1)}
    for _repetition in range(repetitions):
        with hosts([names[way.name] for way in chosen]):
            # has the authorities that the making of hosts has found
            payload()
            for second in (False, *[True] * seconds):
                for way in [way for way in chosen if way.name in found]:
                    try:
                        found[way.name][second].append(run(way, [names[way.name]]))
                    except FailedError as error:
                        print(error, flush=True)
                        del found[way.name]
    return found


def fleets(chosen: Sequence[Way], sizes: Sequence[int], seconds: int) -> list[tuple[int, str, Run]]:
    """Second runs of our ways on several hosts at once."""
    found = []
    with hosts([f"speed-{number:02}" for number in range(1, max(sizes) + 1)]) as names:
        for begin in range(0, len(names), AT_ONCE):
            run(chosen[0], names[begin : begin + AT_ONCE])
        for size in sizes:
            for way in chosen:
                found.append((size, way.name, median([run(way, names[:size]) for _repeat in range(seconds)])))
    return found


def median(runs: Sequence[Run]) -> Run:
    return Run(statistics.median(one.wall for one in runs), statistics.median(one.cpu for one in runs))


def table(found: Mapping[str, tuple[list[Run], list[Run]]]) -> str:
    lines = [
        "| Way | First run (s) | to the shell script's | Second run (s) | to pyinfra's tuned | CPU (s) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    medians = {name: (median(first), median(second)) for name, (first, second) in found.items()}
    for name, (first, second) in medians.items():
        shell, tuned = medians.get("shell script"), medians.get("pyinfra, tuned")
        to_shell = f"{first.wall / shell[0].wall:.2f}" if shell else ""
        to_tuned = f"{second.wall / tuned[1].wall:.2f}" if tuned else ""
        lines.append(f"| {name} | {first.wall:.1f} | {to_shell} | {second.wall:.1f} | {to_tuned} | {second.cpu:.1f} |")
    return "\n".join(lines) + "\n"


def fleet_table(found: Sequence[tuple[int, str, Run]]) -> str:
    lines = ["| Hosts | Way | Second run (s) | CPU per host (s) |", "| ---: | --- | ---: | ---: |"]
    lines += [f"| {size} | {name} | {one.wall:.1f} | {one.cpu / size:.1f} |" for size, name, one in found]
    return "\n## Several hosts at once\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3, help="first runs of each way")
    parser.add_argument("--seconds", type=int, default=3, help="second runs after each first one")
    parser.add_argument("--hosts", type=int, nargs="*", default=[1, 2, 5, 10], help="hosts at once; none: left out")
    parser.add_argument("--only", nargs="*", default=[], help="ways by name; the others are left out")
    options = parser.parse_args()
    chosen = [way for way in ways() if not options.only or way.name in options.only]
    found = compare(chosen, options.repetitions, options.seconds)
    text = table(found)
    if options.hosts:
        text += fleet_table(
            fleets([way for way in chosen if way.name.startswith("site.yml")], options.hosts, options.seconds)
        )
    if left_out := [way.name for way in ways() if way.name not in found]:
        text += f"\nLeft out of this run: {', '.join(left_out)}.\n"
    print(text)
    seconds = options.repetitions * options.seconds
    RESULT.write_text(HEAD.format(cores=os.cpu_count(), repetitions=options.repetitions, seconds=seconds) + text)


if __name__ == "__main__":
    try:
        main()
    except FailedError as error:
        sys.exit(str(error))
