# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that its owner leases holds nobody up: what it holds is not known, and it is replaced."""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import small_file
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import Ownership, write
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import (
    Change,
    Entry,
    Transaction,
    change_of,
)
from leases import leased

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "environment"
    path.write_text("KEY=1\n")
    path.chmod(0o600)
    return path


def desired(content: bytes | None = b"KEY=1\n") -> Entry:
    return Entry(content, 0o600, USER, GROUP, digest=hashlib.sha256(b"KEY=1\n").hexdigest())


def change(path: Path, after: Entry) -> Change:
    found = change_of(str(path), after)
    assert found is not None
    return found


def test_it_is_said_why_it_can_not_be_read(file: Path) -> None:
    with leased(file), pytest.raises(BlockingIOError, match=r"lease on it: '/.*environment'$") as raised:
        small_file.read_small(file, 100)
    assert (raised.value.errno, raised.value.filename) == (errno.EAGAIN, str(file))
    assert small_file.read_small(file, 100)[0] == b"KEY=1\n"


def test_it_differs_from_whatever_it_is_to_be_and_is_replaced(file: Path) -> None:
    assert change_of(str(file), desired()) is None
    with leased(file):
        planned = change(file, desired())
        assert planned.diff()["before"] == f"{USER}:{GROUP} 0600\n(content not known)\n"
        Transaction().make([planned])
        assert change_of(str(file), desired()) is None
    assert file.read_text() == "KEY=1\n"
    assert (file.stat().st_uid, file.stat().st_mode & 0o7777) == (os.geteuid(), 0o600)


def test_it_does_not_pass_for_one_of_which_only_the_digest_is_known(file: Path) -> None:
    assert change_of(str(file), desired(None)) is None
    with leased(file):
        assert change(file, desired(None)).after == desired(None)


def test_what_was_not_known_is_not_put_back_and_that_is_said(file: Path) -> None:
    with leased(file), pytest.raises(StabilityError, match=r"environment is not put back: .*lease"):
        Transaction().make([change(file, desired()), Change(f"{file}/beyond", None, desired())])


def test_nothing_waits_for_it_to_be_compared(file: Path) -> None:
    own = Ownership(os.geteuid(), os.getegid(), 0o600)
    assert not write(file, b"KEY=1\n", own)
    with leased(file):
        assert write(file, b"KEY=1\n", own)
        assert not write(file, b"KEY=1\n", own)
