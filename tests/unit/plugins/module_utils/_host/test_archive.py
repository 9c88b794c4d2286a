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
from ansible_collections.workbot.stability.plugins.module_utils._host import archive as host_archive
from ansible_collections.workbot.stability.plugins.module_utils._host.archive import unpack
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
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
    with pytest.raises(StabilityError, match=words):
        unpack(source, target(tmp_path))


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tgz", ("a", tarfile.REGTYPE, ""), content=bytes(range(256)) * 99)
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(StabilityError, match="can be read"):
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
    with contextlib.suppress(StabilityError, OSError):
        unpack(source, directory)
    assert sorted(path.name for path in base.iterdir()) == ["a.tgz", "target"]
    assert all(path.resolve().is_relative_to(directory) for path in directory.rglob("*") if path.exists())


def test_what_would_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(tmp_path / "a.tar", ("a", tarfile.REGTYPE, ""), content=b"x" * (5 << 20))
    monkeypatch.setattr(host_archive.shutil, "disk_usage", lambda _path: SimpleNamespace(free=2 << 20))
    directory = target(tmp_path)
    with pytest.raises(StabilityError, match=f"holds {directory} has 2 MB free, .* needs 5 MB there"):
        unpack(packed, directory)
    assert list(directory.iterdir()) == []


def test_a_link_that_leads_out_through_another_one_is_refused(tmp_path: Path) -> None:
    """Each of the two alone stays within: the second is read from where the first one leads."""
    members = [
        ("package.json", tarfile.REGTYPE, ""),
        ("a/b/up", tarfile.SYMTYPE, "../.."),
        ("out", tarfile.SYMTYPE, "a/b/up/../../outside"),
    ]
    with pytest.raises(StabilityError, match=r"'out'.*outside of it"):
        unpack(archive(tmp_path / "a.tgz", *members), target(tmp_path))


def test_links_through_links_that_stay_within_are_kept(tmp_path: Path) -> None:
    members = [
        ("a/b/file", tarfile.REGTYPE, ""),
        ("a/b/up", tarfile.SYMTYPE, "../.."),
        ("in", tarfile.SYMTYPE, "a/b/up/a/./b/file"),
        ("package.json", tarfile.REGTYPE, ""),
    ]
    directory = target(tmp_path)
    unpack(archive(tmp_path / "a.tgz", *members), directory)
    assert (directory / "in").read_bytes() == b"x"


@pytest.mark.parametrize(
    "members",
    [
        [("a", tarfile.SYMTYPE, "a"), ("b", tarfile.REGTYPE, "")],
        [("a", tarfile.SYMTYPE, "b"), ("b", tarfile.SYMTYPE, "a")],
    ],
)
def test_links_in_a_circle_are_refused(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    with pytest.raises(StabilityError, match="in a circle"):
        unpack(archive(tmp_path / "a.tgz", *members), target(tmp_path))


def test_a_hard_link_to_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    """tarfile follows these for ever."""
    members = [("s", tarfile.SYMTYPE, "h"), ("h", tarfile.LNKTYPE, "s")]
    with pytest.raises(StabilityError, match="'h' is a hard link to a file that is not in it"):
        unpack(archive(tmp_path / "a.tgz", *members), target(tmp_path))


def test_a_hard_link_is_a_copy(tmp_path: Path) -> None:
    members = [("a", tarfile.REGTYPE, ""), ("b", tarfile.LNKTYPE, "./a"), ("c", tarfile.LNKTYPE, "b")]
    directory = target(tmp_path)
    unpack(archive(tmp_path / "a.tgz", *members), directory)
    assert [(directory / name).read_bytes() for name in "abc"] == [b"x"] * 3
    assert (directory / "c").stat().st_nlink == 1


def test_copies_by_hard_links_count_as_much_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [(f"l{number}", tarfile.LNKTYPE, "a") for number in range(4)]
    packed = archive(tmp_path / "a.tar", ("a", tarfile.REGTYPE, ""), *links, content=b"x" * host_archive._MB)
    monkeypatch.setattr(host_archive.shutil, "disk_usage", lambda _path: SimpleNamespace(free=2 << 20))
    with pytest.raises(StabilityError, match="needs 5 MB there"):
        unpack(packed, target(tmp_path))


def with_header(path: Path, header: dict[str, str], size: int = 1) -> Path:
    """An archive of one file, whose extended header says so."""
    member = tarfile.TarInfo("file")
    member.pax_headers, member.size, member.mtime = header, size, 5
    form = tarfile.PAX_FORMAT if header else tarfile.GNU_FORMAT
    path.write_bytes(member.tobuf(form) + b"x" + bytes(511 + 1024))
    return path


@pytest.mark.parametrize("mtime", ["-1", "1e400", "nan", "99999999999999999999", "-99999999999999999999"])
def test_a_time_that_is_none_is_the_epoch(tmp_path: Path, mtime: str) -> None:
    directory = target(tmp_path)
    unpack(with_header(tmp_path / "a.tar", {"mtime": mtime}), directory)
    assert (directory / "file").stat().st_mtime == 0


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ({"path": "a\0b"}, 1, "a NUL"),
        ({}, -1024, "a size of -1024|can be read"),
    ],
)
def test_an_odd_header_is_refused(tmp_path: Path, header: dict[str, str], size: int, words: str) -> None:
    with pytest.raises(StabilityError, match=words):
        unpack(with_header(tmp_path / "a.tar", header, size), target(tmp_path))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_damaged_archive_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tar"
    text = "".join(map(str, range(40_000))).encode()
    with tarfile.open(path, f"w:{kind}") as tar:
        member = tarfile.TarInfo("file")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(StabilityError, match="can be read"):
        unpack(path, target(tmp_path))


@pytest.mark.parametrize("kinds", [(tarfile.REGTYPE, tarfile.DIRTYPE), (tarfile.REGTYPE, tarfile.REGTYPE)])
def test_what_lies_beneath_a_file_is_refused(tmp_path: Path, kinds: tuple[bytes, bytes]) -> None:
    members = [("a", kinds[0], ""), ("a/b" if kinds[1] == tarfile.REGTYPE else "a", kinds[1], ""), ("c", kinds[0], "")]
    with pytest.raises(StabilityError, match="twice, or beneath a file"):
        unpack(archive(tmp_path / "a.tgz", *members), target(tmp_path))
