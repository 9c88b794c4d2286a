# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole job of putting one release on the host: compare, fetch, unpack, build, link, mark, prune."""

from __future__ import annotations

import contextlib
import grp
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .._host.archive import unpack
from .._host.command import Identity, Scopes, is_program
from .._host.console import listed, visible
from .._host.errors import StabilityError
from .._net.download import download
from .._nodejs.package import node_abi, require_engine
from .build import BuildSettings, build, require_program
from .lock import DeployLockError, build_lock_path, deploy_lock, lock_path
from .store import MARK, Release, Releases, link_shared, own, removed_on_failure, unlinked


class SourceNeededError(StabilityError):
    """The host does not have the release and was not given its source."""


@dataclass(frozen=True)
class Outcome:
    """What the job did, or would do. before and after are identifiers of releases, swept are no releases.

    ended are descriptions of what earlier runs had left running.
    unused are files of the release in whose place the shared ones are.
    """

    identifier: str
    node_abi: str
    made: bool
    linked: list[str]
    pruned: list[str]
    swept: list[str]
    before: list[str]
    ended: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything differs from before."""
        return self.made or bool(self.linked or self.pruned or self.swept)

    @property
    def after(self) -> list[str]:
        """Identifiers of the releases that are there in the end."""
        return [name for name in {*self.before, self.identifier} if name not in self.pruned]


@dataclass(frozen=True, kw_only=True)
class Job(BuildSettings):
    """One release as it must be, by the module's options of these names and what the controller knows of its source."""

    releases: Releases
    id: str
    """The name that it is to have."""
    digest: str
    """Of content and build settings."""
    archive: str
    """A path on this host, an https address as it may be shown, or "" when it was not sent yet."""
    address: str = ""
    """The whole address where there is a login or a token in it."""
    origin: str = ""
    """Where messages say that the archive is from, such as `release_archive /home/me/shop.tar.gz`."""
    checksum: str = ""
    commit: str = ""
    """Of a git source."""
    shared: str
    shared_directories: Sequence[str] = ()
    shared_files: Sequence[str] = ()
    user: str
    group: str
    writable: bool = False
    writable_directories: Sequence[str] = ()
    keep: int = 5
    program: str = ""
    """Relative to the release; "" where it is not known."""
    deployer: str = ""
    """The person or the CI job that deploys it."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Job:
        """From the module's options, of which `source` is filled in by the controller."""
        links = [Path(link) for link in options["protect"]]
        given = {
            **options,
            **options["source"],
            "releases": Releases(Path(options["path"]), Path(options["active"]), links),
        }
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def predict(self) -> Outcome:
        """What do() would do."""
        return self._plan(self._abi(required=False))

    def do(self) -> Outcome:
        """Make the host have the release.

        Raises StabilityError, of which SourceNeededError is one, or OSError: then no part of the release is there.
        """
        abi = self._abi(required=True)
        plan = self._plan(abi)
        if not plan.changed:
            return plan
        directory = self.releases.directory
        if not directory.is_dir():
            raise StabilityError(f"{directory} is not there: the role service makes it.")
        with deploy_lock(build_lock_path(directory), f"release {plan.identifier}", self.deployer):
            # Again: what another run did, or left behind, until it gave up the lock.
            plan = self._plan(abi)
            if plan.made and not self.archive:
                raise SourceNeededError
            plan = replace(plan, ended=self._scopes.end_left())
            self._remove(plan.swept)
            path = self.releases.path(plan.identifier)
            if plan.made and path.exists():
                raise StabilityError(
                    f"{path} is in use, but is no whole release: {MARK} is gone. Choose another version."
                )
            with removed_on_failure(path) if plan.made else contextlib.nullcontext():
                if plan.made:
                    plan = replace(plan, unused=self._make(plan.identifier, abi))
                elif plan.linked:
                    plan = replace(plan, unused=self._link(path))
            try:
                self._remove(plan.pruned)
            except DeployLockError:
                # an activation goes on meanwhile, perhaps of one of them: the next run looks again
                plan = replace(plan, pruned=[])
        return plan

    def told(self, outcome: Outcome) -> list[str]:
        """What a new release has that is not used, or what is wrong with an old one and no run puts right."""
        if outcome.unused:
            names = listed(outcome.unused)
            what = f"has files of its own where a shared path is declared, and the host's are used: {names}"
            advice = f"Put them into {self.shared}, or leave the path out of release_shared_directories and _files"
            return [f"release {outcome.identifier} {what}. {advice}"]
        if outcome.made or self.writable:
            return []
        edited = self.releases.edited(outcome.identifier, self.writable_directories)
        if not edited:
            return []
        advice = "Put them back, or deploy the source with another release_version"
        return [
            f"release {outcome.identifier} has files that were changed after it was made: {listed(edited)}. {advice}"
        ]

    def _remove(self, names: Sequence[str]) -> None:
        """While nobody activates a release. Which ones links name may have changed until then."""
        if not names:
            return
        directory = self.releases.directory
        with deploy_lock(lock_path(directory), "removal of old releases", self.deployer):
            for name in {*names} - self.releases.protected():
                self.releases.remove(name)

    @property
    def _scopes(self) -> Scopes:
        about = f"build of release {self.id}" + (f" by {visible(self.deployer)}" if self.deployer else "")
        return Scopes.of("build", self.releases.directory.parent, about)

    def _abi(self, required: bool) -> str:
        """What native addons are built for. A release that is not built here is the same under any Node.js."""
        node = Path(self.bin) / "node"
        if not self.build:
            return ""
        if is_program(node):
            return node_abi(node.parent)
        if required:
            raise StabilityError(f"{node} is not there: the role nodejs installs it.")
        # it comes, or is repaired, earlier in the same run: most likely as it was when the newest release was built
        return next((release.node_abi for release in self.releases.all()), "")

    def _plan(self, abi: str) -> Outcome:
        identifier, present = self._name(abi)
        shared = [*self.shared_directories, *self.shared_files]
        return Outcome(
            identifier=identifier,
            node_abi=abi,
            made=not present,
            linked=unlinked(self.releases.path(identifier), Path(self.shared), shared),
            pruned=self.releases.surplus(self.keep, identifier),
            swept=self.releases.leftovers(),
            before=[release.id for release in self.releases.all()],
        )

    def _name(self, abi: str) -> tuple[str, bool]:
        """Name of the release, and whether it is there: one that was built for another Node.js ABI is another one."""
        name = self.id
        names = [name, f"{name}-abi{abi}"] if abi else [name]
        found = {candidate: self.releases.get(candidate) for candidate in names}
        for candidate, release in found.items():
            if release and release.digest != self.digest:
                raise StabilityError(
                    f"it is on the host already, made from another source or with other build settings (digest "
                    f"{release.digest[:12]}, now {self.digest[:12]}). Releases never change: choose another "
                    "release_version."
                )
            if release and release.node_abi == abi:
                return candidate, True
        return next((candidate for candidate in names if not found[candidate]), names[-1]), False

    def _make(self, identifier: str, abi: str) -> list[str]:
        """Make it; the files of its own in whose place the shared ones are."""
        path = self.releases.path(identifier)
        user, group = self._identity()
        path.mkdir(0o750)
        with self._fetched(identifier) as archive:
            unpack(archive, path, self.origin)
        own(path, user.uid, group, user.uid)
        require_engine(path, Path(self.bin), user)
        require_program(path, self.program, user, self)
        unused = self._link(path)
        manager = build(path, user, self, self._scopes) if self.build else ""
        # Again: a build that clears its output directory takes a link in it along.
        unused += self._link(path)
        own(path, user.uid if self.writable else 0, group, user.uid, self.writable_directories)
        self.releases.mark(Release(identifier, self.digest, time.time(), manager, abi, self.commit))
        return unused

    @contextlib.contextmanager
    def _fetched(self, identifier: str) -> Iterator[Path]:
        if not self.archive.startswith("https://"):
            yield Path(self.archive)
            return
        path = self.releases.path(f".{identifier}.archive")
        try:
            download(
                self.address or self.archive,
                path,
                self.checksum,
                self.build_timeout,
                option="release_archive",
                declared="release_checksum",
            )
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _link(self, path: Path) -> list[str]:
        user, _group = self._identity()
        return link_shared(path, Path(self.shared), self.shared_directories, self.shared_files, user)

    def _identity(self) -> tuple[Identity, int]:
        try:
            return Identity.of(self.user), grp.getgrnam(self.group).gr_gid
        except KeyError as error:
            raise StabilityError(f"the host has no user {self.user} or group {self.group}: {error}") from error
