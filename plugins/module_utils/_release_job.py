# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole job of putting one release on the host: compare, fetch, unpack, build, link, mark, prune."""

from __future__ import annotations

import contextlib
import grp
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._download import download
from ._release import Release, ReleaseError, Releases, link_shared, own, unlinked
from ._release_build import BuildSettings, build
from ._run_as import Identity
from ._unpack import unpack


class SourceNeededError(Exception):
    """The host does not have the release and was not given its source."""


@dataclass(frozen=True)
class Outcome:
    """What the job did, or would do. before and after are identifiers of releases."""

    made: bool
    linked: list[str]
    pruned: list[str]
    before: list[str]
    after: list[str]

    @property
    def changed(self) -> bool:
        """Whether anything differs from before."""
        return self.made or bool(self.linked or self.pruned)


@dataclass(frozen=True)
class Job:
    """One release as it must be. archive is a path on this host, an https address, or "" when it was not sent yet."""

    directory: Path
    active_link: Path
    shared: Path
    shared_directories: Sequence[str]
    shared_files: Sequence[str]
    user: str
    group: str
    identifier: str
    digest: str
    archive: str
    checksum: str
    writable: bool
    keep: int
    build: BuildSettings
    builds: bool

    @property
    def releases(self) -> Releases:
        """The releases on this host."""
        return Releases(self.directory, self.active_link)

    @property
    def path(self) -> Path:
        """Where the release is, or will be."""
        return self.releases.path(self.identifier)

    def predict(self) -> Outcome:
        """What do() would do."""
        made = not self._present()
        pruned = self.releases.surplus(self.keep, self.identifier)
        return self._outcome(made, self._unlinked(), pruned)

    def do(self) -> Outcome:
        """Make the host have the release.

        Raises SourceNeededError, or ReleaseError, BuildError, CommandError, ArchiveError, DownloadError, OSError: then
        neither the release nor any part of it is there.
        """
        present, links = self._present(), self._unlinked()
        pruned = self.releases.surplus(self.keep, self.identifier)
        if present and not links and not pruned:
            return self._outcome(False, [], [])
        if not present and not self.archive:
            raise SourceNeededError
        if not self.directory.is_dir():
            raise ReleaseError(f"{self.directory} is not there: the role service makes it.")
        outcome = self._outcome(not present, links, pruned)
        with self.releases.lock(self.identifier) as lock:
            for name in self.releases.leftovers():
                self.releases.remove(name)
            if not self._present():
                self._make(lock)
            elif links:
                self._link()
            for name in pruned:
                self.releases.remove(name)
        return outcome

    def _present(self) -> bool:
        found = self.releases.get(self.identifier)
        if found and found.digest != self.digest:
            raise ReleaseError(
                f"it is on the host already, made from another source or with other build settings (digest "
                f"{found.digest[:12]}, now {self.digest[:12]}). Releases never change: choose another release_version."
            )
        return found is not None

    def _unlinked(self) -> list[str]:
        return unlinked(self.path, self.shared, [*self.shared_directories, *self.shared_files])

    def _outcome(self, made: bool, linked: list[str], pruned: list[str]) -> Outcome:
        before = [release.id for release in self.releases.all()]
        after = [name for name in {*before, self.identifier} if name not in pruned]
        return Outcome(made, linked, pruned, before, after)

    def _make(self, lock: int) -> None:
        user, group = self._identity()
        try:
            self.path.mkdir(0o750)
            with self._fetched() as archive:
                unpack(archive, self.path)
            own(self.path, user.uid, group)
            self._link()
            manager = build(self.path, user, self.build, keep_open=[lock]) if self.builds else ""
            # Again: a build that clears its output directory takes a link in it along.
            self._link()
            own(self.path, user.uid if self.writable else 0, group)
            self.releases.mark(Release(self.identifier, self.digest, time.time(), manager))
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    @contextlib.contextmanager
    def _fetched(self) -> Iterator[Path]:
        if not self.archive.startswith("https://"):
            yield Path(self.archive)
            return
        path = self.directory / f".{self.identifier}.archive"
        try:
            download(self.archive, path, self.checksum, self.build.timeout)
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _link(self) -> None:
        user, _group = self._identity()
        link_shared(self.path, self.shared, self.shared_directories, self.shared_files, user)

    def _identity(self) -> tuple[Identity, int]:
        try:
            return Identity.of(self.user), grp.getgrnam(self.group).gr_gid
        except KeyError as error:
            raise ReleaseError(f"the host has no user {self.user} or group {self.group}: {error}") from error
