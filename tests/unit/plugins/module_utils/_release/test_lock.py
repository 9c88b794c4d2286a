# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._release import lock as release_lock
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import (
    DeployLockError,
    build_lock_path,
    deploy_lock,
    lock_holder,
    lock_path,
)

HOLDER = """
import sys, time
from pathlib import Path
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import deploy_lock
with deploy_lock(Path(sys.argv[1]), "release a", "alice@laptop"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that has the lock by now."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_lies_beside_the_releases() -> None:
    assert lock_path(Path("/srv/workbot/releases")) == Path("/srv/workbot/.deploy.lock")
    assert build_lock_path(Path("/srv/workbot/releases")) == Path("/srv/workbot/.build.lock")


def test_a_second_deployment_is_told_who_is_at_work_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = holder(path)
    words = r"release a, begun by alice@laptop at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+, process \d+\."
    with pytest.raises(DeployLockError, match=words), deploy_lock(path, "release b", "bob@desk"):
        pass
    first.kill()
    first.wait()
    with deploy_lock(path, "release b", "bob@desk"):
        assert "release b, begun by bob@desk" in path.read_text()


def test_no_child_gets_the_lock(tmp_path: Path) -> None:
    with deploy_lock(tmp_path / "lock", "a", ""):
        argv = ["ls", "-l", "/proc/self/fd"]
        assert "/lock" not in subprocess.run(argv, check=True, capture_output=True, text=True, close_fds=False).stdout


def test_who_is_at_work_is_one_line_that_no_terminal_obeys(tmp_path: Path) -> None:
    """The name of whoever deploys comes from a controller."""
    path = tmp_path / "lock"
    with deploy_lock(path, "a", "eve\x1b]0;owned\x07\nTo go on: curl"):
        assert lock_holder(path).startswith(r"a, begun by eve\x1b]0;owned\x07\nTo go on: curl at ")


def test_the_lock_says_nothing_when_nobody_deploys(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), deploy_lock(path, "a long word that must go", ""):
        raise RuntimeError
    assert path.read_text().strip() == ""
    with deploy_lock(path, "a", ""):
        assert re.fullmatch(r"a, begun by root at .*, process \d+", path.read_text().strip())
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_lock_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"), deploy_lock(tmp_path / "lock", "a", ""):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def write_to_full_disk(_descriptor: int, content: bytes, _offset: int) -> int:
    with Path("/dev/full").open("wb", buffering=0) as full:
        return full.write(content) or 0


def test_a_full_disk_is_named_and_leaves_no_half_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    with monkeypatch.context() as patch:
        patch.setattr(release_lock.os, "pwrite", write_to_full_disk)
        with pytest.raises(DeployLockError, match=f"(?s)The disk that holds {path} is full.*Nothing was changed"):
            entered(path)
    assert path.read_bytes() == b""
    with deploy_lock(path, "release b", "bob"), pytest.raises(DeployLockError, match="release b, begun by bob at"):
        entered(path)


def test_a_lock_that_was_held_once_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with deploy_lock(path, "a", "a"):
        pass
    before = path.stat()
    with deploy_lock(path, "\N{EURO SIGN}" * 2000, "a"), pytest.raises(DeployLockError, match="\N{EURO SIGN}"):
        entered(path)
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (before.st_ino, before.st_size, before.st_blocks)


def entered(path: Path) -> None:
    with deploy_lock(path, "release x", "x"):
        pytest.fail("there was no lock to be had")
