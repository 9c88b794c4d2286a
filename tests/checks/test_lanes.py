# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/lanes with targets of the tests' own: what it shows, and that nothing goes on after it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = """
who:
\t@echo "hosts$$TEST_LANE, $$TEST_HOST_RELEASE"
bad:
\t@sleep 0.5; echo no; exit 3
slow:
\t@for number in 1 2 3 4 5; do echo "slow $$number"; sleep 0.2; done
forever:
\t@touch forever; sleep 1000 & sleep 1000
place:
\t@nice; cat /proc/self/cgroup
stubborn:
\t@trap '' TERM; sleep 1000
clean-hosts:
\t@echo "hosts$$TEST_LANE" >>removed
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("lanes", "lib.sh"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    return tmp_path


def started(checkout: Path, *lanes: str, release: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "TEST_HOST_RELEASE": release}
    # whoever runs the tests in the background has them ignore SIGINT
    command = ["env", "--default-signal=INT", checkout / "tools" / "lanes", *lanes]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(checkout: Path, *lanes: str, release: str = "") -> tuple[int, list[str]]:
    running = started(checkout, *lanes, release=release)
    output, _none = running.communicate(timeout=60)
    return running.returncode, output.splitlines()


def nothing_is_left(checkout: Path) -> bool:
    removed = (checkout / "removed").read_text(encoding="utf-8").split()
    running = [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(checkout)]
    return removed == ["hosts", "hosts2"] and not running


def test_each_lane_has_its_hosts_and_each_output_stays_in_one_piece(checkout: Path) -> None:
    code, lines = run(checkout, "trixie", "slow who", "bookworm", "slow who")
    assert code == 0, lines
    assert {"hosts, trixie", "hosts2, bookworm"} < set(lines)
    begin = [number for number, line in enumerate(lines) if line == "slow 1"]
    assert [lines[number : number + 5] for number in begin] == [[f"slow {number}" for number in range(1, 6)]] * 2
    assert lines[-5].startswith("== all ok after 0 min 0")
    outcomes = {f"== lane {lane}: {target} ok" for lane in (1, 2) for target in ("slow", "who")}
    assert {line.partition(",")[0] for line in lines[-4:]} == outcomes
    assert nothing_is_left(checkout)


def test_a_release_that_is_asked_for_is_all_lanes(checkout: Path) -> None:
    code, lines = run(checkout, "trixie", "who", "bookworm", "who", release="bookworm")
    assert code == 0, lines
    assert {"hosts, bookworm", "hosts2, bookworm"} < set(lines)


def test_a_lane_leaves_the_processors_to_the_hosts(checkout: Path) -> None:
    code, lines = run(checkout, "trixie", "place")
    assert code == 0, lines
    assert any(line.isdigit() and int(line) >= 10 for line in lines)
    if Path("/sys/fs/cgroup/cpu/cpu.shares").exists():
        assert any(line.endswith(":cpu:/workbot-lanes") for line in lines), lines


def test_a_failure_ends_the_other_lane_and_is_the_last_that_is_shown(checkout: Path) -> None:
    began = time.monotonic()
    code, lines = run(checkout, "trixie", "stubborn", "bookworm", "bad who")
    assert code == 1, lines
    assert time.monotonic() - began < 60
    assert lines[-1].startswith("== lane 2: bad FAILED")
    assert "no" in lines
    assert "hosts2, bookworm" not in lines
    assert nothing_is_left(checkout)


def test_after_a_failure_all_others_still_run_where_that_is_asked_for(checkout: Path) -> None:
    code, lines = run(checkout, "--keep-going", "trixie", "slow who", "bookworm", "bad who")
    assert code == 1, lines
    assert {"hosts, trixie", "hosts2, bookworm"} < set(lines)
    assert lines[-5].startswith("== FAILED after 0 min 0")
    failed = {line.partition(",")[0] for line in lines[-4:] if "FAILED" in line}
    assert failed == {"== lane 2: bad FAILED"}
    assert nothing_is_left(checkout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(checkout: Path, number: signal.Signals) -> None:
    running = started(checkout, "trixie", "forever", "bookworm", "forever")
    deadline = time.monotonic() + 10
    while not (checkout / "forever").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(number)
    output, _none = running.communicate(timeout=60)
    assert running.returncode == 128 + number, output
    assert nothing_is_left(checkout)
