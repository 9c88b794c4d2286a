# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import command, proc
from ansible_collections.workbot.stability.plugins.module_utils._host.command import (
    PLAIN,
    CommandError,
    Program,
    bounded_run,
    clean_environment,
    is_program,
    quiet_run,
    run,
    running,
    text_of,
)


def shell(script: str, tmp_path: Path, timeout: int = 20) -> str:
    environment = clean_environment(tmp_path, "/opt/x/bin", {"EMPTY": "", "SET": "1"})
    return run(["/bin/sh", "-c", script], cwd=tmp_path, environment=environment, timeout=timeout)


def test_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    lines = {line.split("=")[0] for line in shell("env", tmp_path).splitlines()}
    assert lines - {"PWD", "_", "SHLVL"} == {"HOME", "LANG", "PATH", "SET"}


def test_a_failure_shows_the_last_lines_of_both_streams(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as failure:
        shell("seq 100; echo why >&2; exit 3", tmp_path)
    assert "exit status 3" in str(failure.value)
    assert str(failure.value).endswith("99\n100\nwhy")
    assert len(str(failure.value).splitlines()) == 41


def test_of_output_without_end_the_last_part_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_LARGEST_TEXT", 8)
    assert shell("printf 'first second third'", tmp_path) == "nd third"


def test_what_writes_without_end_is_killed_before_it_has_taken_the_memory() -> None:
    for script in ("exec yes", "exec yes >&2"):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(OSError, match="more than 16777216 bytes"):
            bounded_run(["/bin/sh", "-c", script], 60)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 * 1024


def test_both_streams_and_the_input_are_passed_on_whatever_their_size() -> None:
    given = "".join(f"{number}\r\n" for number in range(100_000))
    done = quiet_run(["/bin/sh", "-c", "tee /dev/stderr; exit 3"], 60, PLAIN, given)
    assert (done.returncode, done.stdout, done.stderr) == (3, given.replace("\r", ""), given.replace("\r", ""))
    assert quiet_run(["cat"], 60).stdout == ""


@pytest.mark.parametrize(
    "script", ["echo said; sleep 60 &", "exec >&- 2>&-; sleep 60", "yes | head -c 1000000; sleep 60"]
)
def test_a_program_that_takes_too_long_is_killed(script: str) -> None:
    """Also one that has closed its output, or has left behind who holds it open."""
    begun = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as expired:
        bounded_run(["/bin/sh", "-c", script], 1)
    assert time.monotonic() - begun < 10
    assert expired.value.output in (None, b"said\n", b"y\n" * 500_000)


def test_the_time_limit_ends_all_that_was_started(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(CommandError, match="time limit of 1 s"):
        shell("sleep 300 & echo $! > pid; wait", tmp_path, timeout=1)
    assert time.monotonic() - begun < 10
    assert not alive(int((tmp_path / "pid").read_text()))


def test_what_is_attended_ends_when_nobody_reads_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(command, "_STDOUT", writer)
    options: dict[str, Any] = {"cwd": tmp_path, "environment": PLAIN, "timeout": 60}
    try:
        assert run(["echo", "read"], attended=True, **options) == "read\n"
        os.close(reader)
        with pytest.raises(CommandError, match=r"^sleep 50 was ended: the controller of this run, or its connection"):
            run(["sleep", "50"], attended=True, **options)
        assert run(["echo", "unattended"], **options) == "unattended\n"
    finally:
        os.close(writer)


def test_what_runs_on_in_the_background_is_ended(tmp_path: Path) -> None:
    shell("sleep 300 & echo $! > pid", tmp_path)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="/none"):
        run(["/none"], cwd=tmp_path, environment={}, timeout=5)


def test_only_a_file_that_can_be_run_is_a_program(tmp_path: Path) -> None:
    assert is_program("/bin/sh")
    # a directory has the bit as well
    assert not is_program(tmp_path)
    assert not is_program(tmp_path / "missing")
    (tmp_path / "text").touch(0o644)
    assert not is_program(tmp_path / "text")
    (tmp_path / "link").symlink_to("/bin/sh")
    assert is_program(tmp_path / "link")


def alive(pid: int) -> bool:
    """Whether a process that is no zombie has that id, a moment from now."""
    for _attempt in range(20):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return False
        except OSError:
            return False
        time.sleep(0.1)
    return True


def test_a_signal_that_left_the_lock_of_popen_taken_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Any, *_arguments: object) -> int:
        self._waitpid_lock.acquire(blocking=False)
        raise SystemExit(143)

    monkeypatch.setattr(command.Kept, "await_end", interrupted)
    with pytest.raises(SystemExit):
        run(["/bin/sleep", "60"], cwd=tmp_path, environment={"PATH": "/bin"}, timeout=60)


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> dict[int, bool]:
    """The groups that were sent a signal, and whether their number was still taken by this test's program."""
    groups: dict[int, bool] = {}

    def look(group: int, which: int) -> None:
        groups[group] = proc.stat(group) is not None
        killpg(group, which)

    killpg = os.killpg
    monkeypatch.setattr(os, "killpg", look)
    return groups


def test_the_group_of_what_was_run_is_nobody_else_s_when_it_is_ended(
    tmp_path: Path, signalled: dict[int, bool]
) -> None:
    shell("exit 0", tmp_path)
    assert list(signalled.values()) == [True]
    (group,) = signalled
    assert proc.stat(group) is None, "it is taken out of the process table in the end"


def test_a_number_stays_a_program_s_own_until_the_block_ends(signalled: dict[int, bool]) -> None:
    """However its end was noticed, and however long ago."""
    for text, status in (("exit 3", 3), ("kill -TERM $$", -signal.SIGTERM)):
        with tempfile.TemporaryFile() as said:
            program = Program(["/bin/sh", "-c", f"sleep 60 & echo $!; {text}"], PLAIN)
            with running(program, subprocess.DEVNULL, said, said) as process:
                assert process.wait() == status
                process.kill()
                assert process.wait(0) == process.poll() == process.returncode == status
                number, left = process.pid, int(text_of(said))
                assert proc.lives(left)
            assert (process.returncode, signalled[number]) == (status, True)
            assert proc.stat(number) is None
            assert not alive(left)


def test_a_wait_ends_with_its_time(signalled: dict[int, bool]) -> None:
    with tempfile.TemporaryFile() as said:
        program = Program(["/bin/sleep", "60"], PLAIN)
        with running(program, subprocess.DEVNULL, said, said) as process:
            for seconds in (0, 0.2):
                begun = time.monotonic()
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(seconds)
                assert seconds <= time.monotonic() - begun < seconds + 20
            assert process.poll() is None
        assert process.returncode == -signal.SIGKILL
    assert signalled == {process.pid: True}
