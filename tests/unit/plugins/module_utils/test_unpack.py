# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.workbot.stability.plugins.module_utils import _unpack
from ansible_collections.workbot.stability.plugins.module_utils._unpack import ArchiveError, unpack
from hypothesis import given
from hypothesis import strategies as st


def archive(path: Path, *members: tuple[str, bytes, str], content: bytes = b"x") -> Path:
    """A tar archive of members (name, type, link target)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.mode = 0o6777
            tar.addfile(member, io.BytesIO(content))
    return path


def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("/etc/x", tarfile.REGTYPE, "")], "absolute"),
        ([("a/../../x", tarfile.REGTYPE, "")], "absolute"),
        ([("a", tarfile.SYMTYPE, "/etc")], "outside"),
        ([("d/a", tarfile.SYMTYPE, "../../etc")], "outside"),
        ([("a", tarfile.SYMTYPE, "b"), ("a/x", tarfile.REGTYPE, "")], "beneath a link"),
        ([("./a", tarfile.SYMTYPE, "b"), ("a/x", tarfile.REGTYPE, "")], "beneath a link"),
        ([("a", tarfile.CHRTYPE, "")], "only files"),
        ([("a", tarfile.FIFOTYPE, "")], "only files"),
        ([("a", tarfile.LNKTYPE, "/etc/shadow")], "not in it"),
        ([("a", tarfile.REGTYPE, ""), ("a", tarfile.REGTYPE, ""), ("b", tarfile.REGTYPE, "")], "twice"),
        # Safe beneath its top directory, but that directory is taken away.
        ([("top/a", tarfile.SYMTYPE, "../x"), ("top/b", tarfile.REGTYPE, "")], "outside"),
    ],
)
def test_a_hostile_archive_is_refused(tmp_path: Path, members: list[tuple[str, bytes, str]], words: str) -> None:
    source = archive(tmp_path / "a.tgz", *members)
    with pytest.raises(ArchiveError, match=words):
        unpack(source, target(tmp_path))


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tgz", ("a", tarfile.REGTYPE, ""), content=bytes(range(256)) * 99)
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="can be read"):
        unpack(source, target(tmp_path))


def test_a_single_top_directory_is_left_out(tmp_path: Path) -> None:
    members = [("app/package.json", tarfile.REGTYPE, ""), ("app/a/b", tarfile.SYMTYPE, "../package.json")]
    directory = target(tmp_path)
    unpack(archive(tmp_path / "a.tgz", *members), directory)
    assert sorted(path.name for path in directory.iterdir()) == ["a", "package.json"]
    assert (directory / "a/b").read_bytes() == b"x"


def test_set_id_bits_and_write_permissions_of_others_are_dropped(tmp_path: Path) -> None:
    directory = target(tmp_path)
    unpack(archive(tmp_path / "a.tgz", ("x", tarfile.REGTYPE, ""), ("y", tarfile.REGTYPE, "")), directory)
    assert (directory / "x").stat().st_mode & 0o7022 == 0


@given(
    names=st.lists(st.text("ab./", min_size=1, max_size=8), min_size=1, max_size=5), links=st.text("ab./", max_size=6)
)
def test_nothing_lands_outside(tmp_path_factory: pytest.TempPathFactory, names: list[str], links: str) -> None:
    base = tmp_path_factory.mktemp("unpack")
    members = [(name, tarfile.SYMTYPE if index % 2 else tarfile.REGTYPE, links) for index, name in enumerate(names)]
    source = archive(base / "a.tgz", *members)
    directory = target(base)
    with contextlib.suppress(ArchiveError, OSError):
        unpack(source, directory)
    assert sorted(path.name for path in base.iterdir()) == ["a.tgz", "target"]
    assert all(path.resolve().is_relative_to(directory) for path in directory.rglob("*") if path.exists())


def test_what_would_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(tmp_path / "a.tar", ("a", tarfile.REGTYPE, ""), content=b"x" * (5 << 20))
    monkeypatch.setattr(_unpack.shutil, "disk_usage", lambda _path: SimpleNamespace(free=2 << 20))
    directory = target(tmp_path)
    with pytest.raises(ArchiveError, match=f"holds {directory} has 2 MB free, .* needs 5 MB there"):
        unpack(packed, directory)
    assert list(directory.iterdir()) == []
