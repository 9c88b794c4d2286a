# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole job on this machine's disk, with a release that needs no network to be built."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.package import node_abi
from ansible_collections.workbot.stability.plugins.module_utils._release import job as release_job
from ansible_collections.workbot.stability.plugins.module_utils._release.job import Job, SourceNeededError
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import (
    DeployLockError,
    build_lock_path,
    deploy_lock,
    lock_path,
)
from ansible_collections.workbot.stability.plugins.module_utils._release.store import MARK, Release, Releases, explain

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root makes releases")


@pytest.fixture
def job(bin_directory: Path, tmp_path: Path) -> Job:
    (tmp_path / "releases").mkdir()
    return Job(
        releases=Releases(tmp_path / "releases", tmp_path / "active", [tmp_path / "previous"]),
        id="a",
        digest="d",
        archive=str(packed(tmp_path, {})),
        shared=str(tmp_path / "shared"),
        user=pwd.getpwuid(os.getuid()).pw_name,
        group=grp.getgrgid(os.getgid()).gr_name,
        bin=str(bin_directory),
        build_environment={"npm_config_offline": "true"},
        deployer="alice@laptop",
    )


def packed(directory: Path, manifest: dict[str, Any]) -> Path:
    """An archive of a release with that package.json and nothing to install."""
    source = directory / "source"
    source.mkdir(exist_ok=True)
    manifest = {"name": "a", "version": "1.0.0", **manifest}
    lock = {"name": "a", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": manifest}}
    (source / "package.json").write_text(json.dumps(manifest))
    (source / "package-lock.json").write_text(json.dumps(lock))
    with tarfile.open(directory / "a.tgz", "w:gz") as tar:
        for path in source.iterdir():
            tar.add(path, path.name)
    return directory / "a.tgz"


def of_abi(job: Job, abi: str) -> None:
    """As if the release had been built by a Node.js of another ABI."""
    name = job.id
    job.releases.mark(Release(name, job.digest, 1.0, "npm", abi))


def test_a_release_is_made_once_and_knows_what_it_was_built_for(job: Job) -> None:
    job = replace(job, commit="c0ffee")
    predicted = job.predict()
    assert (predicted.made, predicted.identifier, predicted.after) == (True, "a", ["a"])
    assert job.do() == predicted
    found = job.releases.get("a")
    assert found
    assert (found.package_manager, found.node_abi, found.commit) == ("npm", node_abi(Path(job.bin)), "c0ffee")
    assert not job.do().changed
    assert not job.predict().changed


def test_the_source_is_asked_for_only_when_it_is_needed(job: Job) -> None:
    asking = replace(job, archive="")
    with pytest.raises(SourceNeededError):
        asking.do()
    job.do()
    assert not asking.do().changed


@pytest.mark.parametrize("before", ["1", ""])
def test_another_abi_makes_another_release_beside_it(job: Job, before: str) -> None:
    job.do()
    of_abi(job, before)
    other = f"a-abi{node_abi(Path(job.bin))}"
    assert job.predict().identifier == other
    outcome = job.do()
    assert (outcome.made, outcome.identifier, sorted(outcome.after)) == (True, other, ["a", other])
    assert not job.do().changed
    # The older one goes one day, and is not made again.
    job.releases.remove("a")
    assert (job.do().changed, job.do().identifier) == (False, other)


def test_a_prebuilt_release_is_the_same_under_any_node(job: Job) -> None:
    job = replace(job, build=False, bin="/nonexistent")
    assert job.do().made
    found = job.releases.get("a")
    assert found
    assert (found.package_manager, found.node_abi) == ("", "")
    assert not job.do().changed


def test_a_node_that_is_not_there_yet_is_no_trouble_for_a_prediction(job: Job) -> None:
    job = replace(job, bin="/nonexistent")
    assert job.predict().made
    with pytest.raises(StabilityError, match="/nonexistent/node is not there: the role nodejs installs it"):
        job.do()


@pytest.mark.parametrize("damage", ["missing", "a directory"])
def test_a_node_that_the_run_repairs_first_is_taken_to_be_the_one_that_built_the_newest_release(
    job: Job, tmp_path: Path, damage: str
) -> None:
    job.do()
    if damage == "a directory":
        (tmp_path / "bin/node").mkdir(parents=True)
    assert not replace(job, bin=str(tmp_path / "bin")).predict().changed


def test_a_name_with_other_content_is_refused(job: Job) -> None:
    job.do()
    with pytest.raises(StabilityError, match="made from another source"):
        replace(job, digest="other").do()


@pytest.mark.parametrize("builds", [True, False])
def test_a_release_for_another_node_is_refused_and_gone(job: Job, builds: bool, tmp_path: Path) -> None:
    packed(tmp_path, {"engines": {"node": ">=999"}})
    with pytest.raises(StabilityError, match=r"needs Node\.js >=999"):
        replace(job, build=builds).do()
    assert list(job.releases.directory.iterdir()) == []


def test_a_failed_build_is_gone(job: Job, tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="no script 'compile'"):
        replace(job, build_script="compile").do()
    assert list(job.releases.directory.iterdir()) == []
    assert (tmp_path / ".build.lock").read_text().strip() == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>404 Not Found</html>", " is no tar archive that can be read: "),
        (b"", " is no tar archive that can be read: "),
        ("absolute", ": The archive holds '/etc/passwd': absolute paths and '..' are refused"),
    ],
)
def test_a_broken_archive_is_named_with_its_variable(job: Job, content: bytes | str, words: str) -> None:
    if isinstance(content, bytes):
        Path(job.archive).write_bytes(content)
    else:
        with tarfile.open(job.archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("/etc/passwd"))
    with pytest.raises(StabilityError) as error:
        replace(job, origin="release_archive https://h.example/a.tgz").do()
    assert str(error.value).startswith(f"release_archive https://h.example/a.tgz{words}")


def test_the_message_says_that_it_is_gone(job: Job) -> None:
    with pytest.raises(StabilityError) as error:
        replace(job, build_script="compile").do()
    path = job.releases.path(job.id)
    assert explain(error.value, job.releases.directory).endswith(f"Its directory, {path}, was removed.")


def test_a_disk_that_is_full_while_it_is_made_is_named_with_what_it_took(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_archive: Path, target: Path, _name: str) -> None:
        (target / "large").write_bytes(b"x" * (3 << 20))
        Path("/dev/full").write_bytes(b"x")

    monkeypatch.setattr(release_job, "unpack", fill)
    with pytest.raises(OSError, match="No space left") as error:
        job.do()
    path = job.releases.path(job.id)
    words = rf"The disk that holds {path} is full: the unfinished release took 3 MB, and \d+ MB were left\."
    assert re.fullmatch(rf"{words} Its directory, {path}, was removed\.", explain(error.value, path.parent))
    assert list(job.releases.directory.iterdir()) == []


def test_a_release_that_was_made_stays_when_older_ones_can_not_be_pruned(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(job, id="older", digest="older").do()

    def refuse(_self: object, name: str) -> None:
        raise OSError(f"{name} is busy")

    monkeypatch.setattr(Releases, "remove", refuse)
    with pytest.raises(OSError, match="older is busy"):
        replace(job, keep=1).do()
    assert [release.id for release in job.releases.all()] == ["a", "older"]


def test_remains_of_a_killed_run_go_even_when_nothing_else_is_to_be_done(job: Job) -> None:
    job.do()
    job.releases.path("half").mkdir()
    job.releases.path(".b.archive").write_text("half")
    outcome = job.predict()
    assert (outcome.changed, outcome.made, outcome.swept) == (True, False, [".b.archive", "half"])
    assert job.do() == outcome
    assert not job.do().changed


def test_a_killed_build_of_the_same_release_is_begun_anew(job: Job) -> None:
    job.releases.path("a").mkdir()
    (job.releases.path("a") / "half").write_text("x")
    assert job.do().made
    assert not (job.releases.path("a") / "half").exists()


def test_a_release_in_use_without_a_mark_is_not_touched(job: Job) -> None:
    job.do()
    (job.releases.path("a") / MARK).unlink()
    job.releases.active_link.symlink_to("activations/a@2")
    with pytest.raises(StabilityError, match=r"is in use, but is no whole release"):
        job.do()
    assert (job.releases.path("a") / "package.json").is_file()


def test_the_release_that_was_active_before_stays(job: Job, tmp_path: Path) -> None:
    job = replace(job, keep=2)
    for name in ("one", "two", "three"):
        job.releases.path(name).mkdir()
        job.releases.mark(Release(name, name, 1.0, "npm"))
    (tmp_path / "previous").symlink_to(job.releases.path("one"))
    job.releases.active_link.symlink_to("activations/two")
    assert job.do().pruned == ["three"]


@contextlib.contextmanager
def another_build(job: Job) -> Iterator[None]:
    with deploy_lock(build_lock_path(job.releases.directory), "release b", "bob@desk"):
        yield


def test_a_second_build_is_told_who_is_at_work(job: Job) -> None:
    for asking in (job, replace(job, archive="")):  # before the source is sent, too
        with another_build(job), pytest.raises(DeployLockError, match="release b, begun by bob@desk at "):
            asking.do()
    job.do()
    with another_build(job):
        assert not job.do().changed, "a run that changes nothing needs no lock"


def test_a_release_is_made_beside_an_activation_which_may_be_of_one_that_is_to_go(job: Job) -> None:
    replace(job, id="older", digest="older").do()
    job = replace(job, keep=1)
    with deploy_lock(lock_path(job.releases.directory), "activation of release older", "bob@desk"):
        outcome = job.do()
        assert (outcome.made, outcome.pruned) == (True, [])
        assert job.releases.get("older")
    assert job.predict().pruned == job.do().pruned == ["older"]


def test_what_is_left_of_a_killed_run_stays_while_somebody_activates(job: Job) -> None:
    job.releases.path("half").mkdir()
    with (
        deploy_lock(lock_path(job.releases.directory), "activation of release b", "bob@desk"),
        pytest.raises(DeployLockError, match="activation of release b"),
    ):
        job.do()
    assert job.releases.path("half").is_dir()


def test_the_place_of_the_releases_must_be_there(job: Job) -> None:
    shutil.rmtree(job.releases.directory)
    with pytest.raises(StabilityError, match="the role service makes it"):
        job.do()
