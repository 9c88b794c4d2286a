# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._release.store import (
    MARK,
    Release,
    Releases,
    explain,
    link_shared,
    own,
    unlinked,
)

ME = Identity("me", os.getuid(), os.getgid(), "/nonexistent")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root's mark makes a release")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    (tmp_path / "releases").mkdir()
    return Releases(tmp_path / "releases", tmp_path / "active")


def make(releases: Releases, *names: str) -> None:
    """Releases of that age: the last is the newest."""
    for created, name in enumerate(names):
        releases.path(name).mkdir()
        releases.mark(Release(name, "d", created, "pnpm"))


@needs_root
def test_a_directory_without_a_mark_is_a_leftover(releases: Releases) -> None:
    make(releases, "a")
    releases.path("b").mkdir()
    releases.path("c").mkdir()
    (releases.path("c") / MARK).write_text(json.dumps({"id": "c"}))
    assert [release.id for release in releases.all()] == ["a"]
    assert releases.leftovers() == ["b", "c"]


@needs_root
def test_a_mark_that_a_build_wrote_does_not_count(releases: Releases) -> None:
    make(releases, "a")
    os.chown(releases.path("a") / MARK, 12345, 12345)
    assert releases.get("a") is None


@needs_root
@pytest.mark.parametrize(
    ("keep", "desired", "active", "surplus"),
    [
        (5, "e", "e", []),
        (2, "e", "e", ["c", "b", "a"]),
        # The active one stays, however old.
        (2, "e", "b", ["c", "a"]),
        (3, "new", "e", ["c", "b", "a"]),
        (2, "new", "", ["d", "c", "b", "a"]),
        # Back to an old one: it is desired, so it stays.
        (2, "a", "e", ["c", "b"]),
    ],
)
def test_surplus(releases: Releases, keep: int, desired: str, active: str, surplus: list[str]) -> None:
    make(releases, "a", "b", "c", "d", "e")
    if active:
        releases.active_link.symlink_to(f"activations/{active}")
    assert releases.surplus(keep, desired) == surplus


@needs_root
def test_what_a_link_names_stays(releases: Releases, tmp_path: Path) -> None:
    make(releases, "a", "b", "c", "d")
    for link, target in (("active", "activations/b@3"), ("previous", "releases/a"), ("gone", "releases/z")):
        (tmp_path / link).symlink_to(target)
    kept = Releases(
        releases.directory, releases.active_link, [tmp_path / "previous", tmp_path / "gone", tmp_path / "x"]
    )
    assert kept.protected() == {"a", "b", "z"}
    assert kept.surplus(1, "d") == ["c"]
    # One whose mark is lost may still run.
    (kept.path("b") / MARK).unlink()
    assert kept.leftovers() == []
    assert releases.leftovers() == []
    assert kept.surplus(1, "d") == ["c"]


@needs_root
def test_interrupted_downloads_and_removals_are_leftovers(releases: Releases) -> None:
    make(releases, "a")
    releases.path(".b.archive").write_text("half")
    releases.path(".removed-7-c").mkdir()
    assert releases.leftovers() == [".b.archive", ".removed-7-c"]
    for name in releases.leftovers():
        releases.remove(name)
    assert [path.name for path in releases.directory.iterdir()] == ["a"]


@needs_root
@pytest.mark.parametrize("extra", [{}, {"node_abi": "137"}, {"node_abi": "137", "of the next version": 1}])
def test_marks_of_other_versions_are_read(releases: Releases, extra: dict[str, object]) -> None:
    releases.path("a").mkdir()
    mark = {"id": "a", "digest": "d", "created": 1.0, "package_manager": "npm", **extra}
    (releases.path("a") / MARK).write_text(json.dumps(mark))
    assert releases.get("a") == Release("a", "d", 1.0, "npm", str(extra.get("node_abi", "")))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"^The disk that holds \S+ is full \(\d+ MB free\)"),
        (RuntimeError("pnpm failed. ENOSPC: write"), r"^The disk that holds .* pnpm failed"),
        (RuntimeError("pnpm failed"), r"^pnpm failed$"),
        (OSError(errno.EACCES, "Permission denied"), r"^\[Errno 13\] Permission denied$"),
    ],
)
def test_a_full_disk_is_named(error: Exception, words: str, tmp_path: Path) -> None:
    assert re.search(words, explain(error, tmp_path))


@needs_root
def test_removal_leaves_nothing(releases: Releases) -> None:
    make(releases, "a", "b")
    releases.remove("a")
    assert [path.name for path in releases.directory.iterdir()] == ["b"]


def test_own_drops_set_id_bits_and_never_follows_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o604)
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    for name, mode in (("program", 0o4777), ("file", 0o666)):
        (tree / "d" / name).write_text("x")
        (tree / "d" / name).chmod(mode)
    (tree / "link").symlink_to(outside)
    os.mkfifo(tree / "fifo")
    own(tree, os.getuid(), os.getgid(), os.getuid())
    modes = {path.name: oct(path.lstat().st_mode & 0o7777) for path in tree.rglob("*") if not path.is_symlink()}
    assert (modes["program"], modes["file"], modes["d"]) == ("0o750", "0o640", "0o750")
    assert outside.stat().st_mode & 0o777 == 0o604


@needs_root
def test_what_the_service_may_write_in_is_its_own(tmp_path: Path) -> None:
    (tmp_path / ".next/server").mkdir(parents=True)
    (tmp_path / ".next/server/page.html").write_text("x")
    (tmp_path / ".nextra").mkdir()
    own(tmp_path, 0, 0, 1234, [".next", "var/cache"])
    owners = {str(path.relative_to(tmp_path)): path.stat().st_uid for path in tmp_path.rglob("*")}
    theirs = {".next", ".next/server", ".next/server/page.html", "var/cache"}
    assert {name for name, uid in owners.items() if uid == 1234} == theirs
    assert {name for name, uid in owners.items() if uid == 0} == {".nextra", "var"}


@needs_root
def test_a_link_is_no_directory_that_the_service_may_write_in(tmp_path: Path) -> None:
    release, outside = tmp_path / "release", tmp_path / "outside"
    release.mkdir()
    outside.mkdir()
    (release / "cache").symlink_to(outside)
    with pytest.raises(OSError, match="cache"):
        own(release, 0, 0, 1234, ["cache"])
    assert outside.stat().st_uid == 0


def test_shared_paths_replace_what_the_release_brings(tmp_path: Path) -> None:
    release, shared = tmp_path / "release", tmp_path / "shared"
    (release / "public/uploads").mkdir(parents=True)
    (release / "public/uploads/sample").write_text("x")
    shared.mkdir()
    (shared / "local.json").write_text("{}")
    names = ["public/uploads", "tmp/cache", "local.json"]
    assert unlinked(release, shared, names) == names
    assert link_shared(release, shared, names[:2], names[2:], ME) == []
    assert unlinked(release, shared, names) == []
    assert link_shared(release, shared, names[:2], names[2:], ME) == []
    # the first release fills an empty shared directory
    assert (shared / "public/uploads/sample").read_text() == "x"
    (release / "public/uploads/photo").write_text("kept")
    assert (shared / "public/uploads/photo").read_text() == "kept"


def test_what_a_later_release_brings_replaces_nothing_and_is_named(tmp_path: Path) -> None:
    release, shared = tmp_path / "release", tmp_path / "shared"
    for top, said in ((release, "new"), (shared, "the service's")):
        (top / "data/same").mkdir(parents=True)
        (top / "data/db.json").write_text(said)
        (top / "data/same/a").write_text("a")
        (top / "local.json").write_text(said)
    (release / "data/.gitkeep").touch()
    (release / "data/same/link").symlink_to("a")
    assert link_shared(release, shared, ["data"], ["local.json"], ME) == ["data/db.json", "local.json"]
    assert (release / "data/db.json").read_text() == (release / "local.json").read_text() == "the service's"


def test_a_seed_that_fails_leaves_the_directory_to_the_next_run(tmp_path: Path) -> None:
    release, shared = tmp_path / "release", tmp_path / "shared"
    (release / "data").mkdir(parents=True)
    (release / "data/a").write_text("a")
    os.mkfifo(release / "data/pipe")
    shared.mkdir()
    with pytest.raises(OSError, match="pipe"):
        link_shared(release, shared, ["data"], [], ME)
    assert not (shared / "data").exists()


def test_a_shared_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=r"'local\.json'.*not on the host"):
        link_shared(tmp_path, tmp_path / "shared", [], ["local.json"], ME)


def test_a_shared_path_beneath_a_link_is_refused(tmp_path: Path) -> None:
    release, shared = tmp_path / "release", tmp_path / "shared"
    release.mkdir()
    shared.mkdir()
    (release / "public").symlink_to("/etc")
    with pytest.raises(StabilityError, match="which is a link"):
        link_shared(release, shared, ["public/uploads"], [], ME)


def test_a_hard_link_to_a_foreign_file_is_not_given(tmp_path: Path) -> None:
    """Where the kernel lets users make hard links to files of others (fs.protected_hardlinks=0)."""
    (tmp_path / "shadow").write_text("x")
    (tmp_path / "shadow").chmod(0o600)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").hardlink_to(tmp_path / "shadow")
    with pytest.raises(StabilityError, match="tree/file is a hard link to a file of another user"):
        own(tmp_path / "tree", os.getuid(), os.getgid(), os.getuid() + 1)
    assert (tmp_path / "shadow").stat().st_mode & 0o777 == 0o600
    own(tmp_path / "tree", os.getuid(), os.getgid(), os.getuid())
    assert (tmp_path / "shadow").stat().st_mode & 0o777 == 0o640


@needs_root
def test_what_was_edited_since_a_release_was_made_is_named(releases: Releases) -> None:
    top = releases.path("a")
    for name in ("src", "cache", "node_modules/pg"):
        (top / name).mkdir(parents=True)
        (top / name / "index.js").touch()
    (top / "link").symlink_to("src/index.js")
    releases.mark(Release("a", "d", time.time(), "pnpm"))
    assert releases.edited("a", ["cache"]) == []
    later = time.time() + 1
    for name in ("src", "cache", "node_modules/pg"):
        os.utime(top / name / "index.js", (later, later))
    assert releases.edited("a", ["cache"]) == [], "a time to come"
    releases.mark(Release("a", "d", later - 3, "pnpm"))
    os.utime(top / "src/index.js", (later - 2, later - 2))
    os.utime(top / "cache/index.js", (later - 2, later - 2))
    assert releases.edited("a", ["cache"]) == ["src/index.js"]
    assert releases.edited("b", []) == []
