# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real git and real repositories, over file://, which speaks the same protocol as a server."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.archive import unpack
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._release.git import Repository, _environment

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


class Origin:
    """A repository with a working tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.add("package.json", "{}")

    @property
    def repository(self) -> Repository:
        return Repository(f"file://{self.path}")

    def git(self, *arguments: str) -> str:
        author = [setting for name in ("name", "email") for setting in ("-c", f"user.{name}=test")]
        command = ["git", *author, "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", *arguments]
        return subprocess.run(command, cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()

    def add(self, name: str, content: str) -> str:
        """Commit a file; the commit."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


def test_a_ref_names_a_commit(origin: Origin) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("tag", "light")
    origin.git("tag", "--annotate", "--message", "x", "v1.0.0")
    origin.git("branch", "feature/x")
    # Ends like another one's name: ls-remote finds both.
    origin.git("branch", "other/refs/heads/main")
    second = origin.add("b", "2")
    found = {
        ref: origin.repository.commit(ref)
        for ref in ("HEAD", "main", "refs/heads/main", "light", "v1.0.0", "feature/x", "refs/tags/v1.0.0")
    }
    expected = dict.fromkeys(found, first) | dict.fromkeys(("HEAD", "main", "refs/heads/main"), second)
    assert found == expected


def test_a_whole_commit_id_is_not_asked_for() -> None:
    assert Repository("file:///nowhere").commit("ab" * 20) == "ab" * 20


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("mian", r"no branch or tag 'mian'\. Did you mean main\?"),
        ("zzz", r"no branch or tag 'zzz'\.$"),
        ("abcdef1", "by its whole id, 40 digits"),
        ("refs/tags/none", "no branch or tag 'refs/tags/none'"),
    ],
)
def test_a_ref_that_is_not_there_is_named(origin: Origin, ref: str, words: str) -> None:
    with pytest.raises(StabilityError, match=words):
        origin.repository.commit(ref)


def test_a_name_of_two_things_is_refused(origin: Origin) -> None:
    origin.git("tag", "twice")
    origin.add("b", "2")
    origin.git("branch", "twice")
    with pytest.raises(StabilityError, match="write refs/heads/twice or refs/tags/twice"):
        origin.repository.commit("twice")


def test_the_archive_holds_that_commit_and_no_git(origin: Origin, tmp_path: Path) -> None:
    commit = origin.add("src/main.js", "1")
    (origin.path / "start.sh").write_text("#!/bin/sh\n")
    (origin.path / "start.sh").chmod(0o755)
    middle = origin.add("link", "")
    origin.add("src/main.js", "2")
    for wanted, names in ((commit, {"package.json", "src/main.js"}), (middle, {"link", "start.sh"})):
        for directory in ("fetched", "out"):
            (tmp_path / wanted / directory).mkdir(parents=True)
        unpack(origin.repository.pack(wanted, tmp_path / wanted / "fetched"), tmp_path / wanted / "out")
        out = tmp_path / wanted / "out"
        found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        assert names <= found
        assert not any(name.startswith(".git") for name in found)
        assert (out / "src/main.js").read_text() == "1"
    assert os.access(tmp_path / middle / "out/start.sh", os.X_OK)


def packed(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "fetched").mkdir()
    origin.repository.pack(origin.git("rev-parse", "HEAD"), tmp_path / "fetched")


def test_submodules_are_refused(origin: Origin, tmp_path: Path) -> None:
    inner = Origin(tmp_path / "inner")
    origin.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{inner.path}", "vendor/inner"
    )
    origin.git("commit", "--quiet", "--message", "submodule")
    with pytest.raises(StabilityError, match=r"has submodules \(vendor/inner\)"):
        packed(origin, tmp_path)


def test_files_in_lfs_are_refused(origin: Origin, tmp_path: Path) -> None:
    origin.add("docs/about-lfs.md", f"A pointer begins with {LFS}")
    for number in range(5):
        origin.add(f"assets/{number}.png", LFS)
    with pytest.raises(StabilityError, match=r"Git LFS \(assets/0\.png, assets/1\.png, assets/2\.png, \.\.\.\)"):
        packed(origin, tmp_path)


def test_a_text_about_lfs_is_no_file_in_it(origin: Origin, tmp_path: Path) -> None:
    origin.add("docs/about-lfs.md", f"A pointer begins with {LFS}")
    packed(origin, tmp_path)


@pytest.fixture(params=["0", "2"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of the older protocol hands out what branches and tags point to, and nothing else."""
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.version"), ("VALUE_0", request.param)):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)


@pytest.mark.usefixtures("protocol")
def test_a_commit_that_no_branch_ends_with(origin: Origin, tmp_path: Path) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.add("second", "2")
    (tmp_path / "fetched").mkdir()
    with tarfile.open(origin.repository.pack(first, tmp_path / "fetched")) as tar:
        assert tar.getnames() == ["package.json"]


@pytest.mark.usefixtures("protocol")
def test_a_commit_that_is_not_there_is_said(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=f"origin has no commit {'ab' * 20}"):
        (tmp_path / "fetched").mkdir()
        origin.repository.pack("ab" * 20, tmp_path / "fetched")


def test_no_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=r"file://\S+/none can't be read: there is no repository\. git says:\n"):
        Repository(f"file://{tmp_path}/none").commit("main")


def test_a_missing_git_is_said(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StabilityError, match="no git on the controller"):
        origin.repository.commit("main")


def test_another_repository_s_variables_are_dropped(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert (
        origin.repository.commit("main")
        == subprocess.run(
            ["git", "rev-parse", "main"], cwd=origin.path, env={}, check=True, capture_output=True, text=True
        ).stdout.strip()
    )


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "ssh"))
    with pytest.raises(StabilityError, match="git ls-remote took more than 1 s"):
        Repository("git@example.invalid:a.git", timeout=1).commit("main")


@pytest.mark.parametrize("url", ["https://alice:hunter2@host.example/a.git", "https://t0ken@host.example/a.git"])
def test_a_login_in_the_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(StabilityError, match=r"on host\.example holds a login") as caught:
        Repository(url).commit("ab" * 20)
    assert not any(secret in str(caught.value) for secret in ("hunter2", "t0ken"))


def test_nobody_is_asked_and_the_key_is_quoted() -> None:
    environment = _environment({"GIT_SSH_COMMAND": "ssh -F /x", "HOME": "/root"}, "/a b/key")
    assert environment["GIT_SSH_COMMAND"] == (
        "ssh -F /x -o BatchMode=yes -o ConnectTimeout=30 -o IdentitiesOnly=yes -i '/a b/key'"
    )
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["HOME"] == "/root"
    assert "IdentitiesOnly" not in _environment({}, "")["GIT_SSH_COMMAND"]
