# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module release: names the release, and sends its source only when the host lacks it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._host.errors import StabilityError
from ..module_utils._net.download import without_secrets
from ..plugin_utils._fleet.deployer import deployer
from ..plugin_utils._release.git import Repository
from ..plugin_utils._release.source import (
    Entry,
    Identified,
    address_digest,
    archive_digest,
    entries,
    identify,
    pack,
    tree_digest,
)
from ..plugin_utils._variables.places import controller_path
from ..plugin_utils.actions import Action

# What only the controller needs; the key's path and the repository are not the host's business.
_OWN_OPTIONS = ("archive", "git_url", "git_ref", "git_key")


class ActionModule(Action):
    """Runs on the controller in place of the module, which it calls once, or twice when the source must be sent."""

    def outcome(self) -> dict[str, Any]:
        try:
            with self._key() as key:
                source = _Source(self._task.args, self._locate, key)
                found = source.identified()
                done = self._release(source, found, source.shown_address)
                return self._send(source, found) if done.get("source_needed") else done
        except StabilityError as error:
            raise AnsibleActionFail(str(error)) from error

    def _locate(self, path: str) -> str:
        return controller_path(path, self.variables.get("inventory_dir"))

    @contextmanager
    def _key(self) -> Iterator[str]:
        """The deploy key's file; one that ansible-vault encrypted is there in plain text only meanwhile."""
        key = self._task.args.get("git_key") or ""
        if not key:
            yield ""
            return
        path = self._locate(key)
        if not Path(path).is_file():
            raise StabilityError(f"release_git_key {path} is no file on the controller.")
        plain = self._loader.get_real_file(path)
        try:
            yield plain
        finally:
            self._loader.cleanup_tmp_file(plain)

    def _release(self, source: _Source, found: Identified, archive: str) -> dict[str, Any]:
        arguments = {name: value for name, value in self._task.args.items() if name not in _OWN_OPTIONS}
        sent = {"id": found.identifier, "digest": found.digest, "archive": archive, "commit": source.commit}
        sent |= {"address": source.secret_address, "origin": source.origin}
        return self.module({**arguments, "deployer": deployer(os.environ), "source": sent})

    def _send(self, source: _Source, found: Identified) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as local:
            archive = source.packed(Path(local))
            remote = self._make_tmp_path()
            try:
                path = str(PurePosixPath(remote) / "release.tar.gz")
                self._transfer_file(str(archive), path)
                return self._release(source, found, path)
            finally:
                self._remove_tmp_path(remote)


class _Source:
    """The source that the task's options name. key is the file of the deploy key, "" for none."""

    def __init__(self, options: dict[str, Any], locate: Callable[[str], str], key: str = "") -> None:
        self._options = options
        given = {name: value for name in ("directory", "archive", "git_url") if (value := options.get(name))}
        if len(given) != 1:
            found = " and ".join(f"release_{name}" for name in given) or "none"
            raise StabilityError(
                f"Exactly one of release_directory, release_archive and release_git_url is needed; set: {found}."
            )
        archive = given.get("archive", "")
        if options.get("checksum") and not archive:
            raise StabilityError("release_checksum belongs to release_archive; another source has none.")
        self.address = archive if archive.startswith("https://") else ""
        self.shown_address = without_secrets(self.address)
        self.secret_address = self.address if self.address != self.shown_address else ""
        """The whole one where that must not be logged."""
        self.commit = ""
        [(name, value)] = given.items()
        self.origin = f"release_{name} {without_secrets(value)}"
        self._directory = Path(locate(given["directory"])) if "directory" in given else None
        self._archive = Path(locate(archive)) if archive and not self.address else None
        timeout = int(options.get("build_timeout") or 900)
        self._repository = Repository(given["git_url"], key, timeout) if "git_url" in given else None
        self._entries: list[Entry] = []
        self._content = ""

    def identified(self) -> Identified:
        """Name and digest; reads the whole source, but of a repository only which commit is meant."""
        checksum = self._options.get("checksum") or ""
        if self._repository:
            self.commit = self._repository.commit(self._options.get("git_ref") or "HEAD")
            self._content = f"git {self.commit}"
        elif self._directory:
            self._entries = entries(self._directory, self._excluded())
            self._content = tree_digest(self._entries)
        elif self._archive:
            self._content = archive_digest(self._archive, checksum)
        else:
            self._content = address_digest(self.address, checksum)
        return identify(self._content, self._shaping(), self._options.get("version") or "")

    def packed(self, directory: Path) -> Path:
        """Path of the archive to send; directory is empty and for all that is needed for it."""
        if self._repository:
            return self._repository.pack(self.commit, directory)
        if self._archive:
            return self._archive
        pack(self._entries, directory / "release.tar.gz", self._content)
        return directory / "release.tar.gz"

    def _shaping(self) -> dict[str, object]:
        """The options that shape what is on disk in the end: another value is another release."""
        environment = self._options.get("build_environment") or {}
        writable = self._options.get("writable_directories") or []
        hooks = {name: self._options.get(name) for name in ("before_build", "after_build")}
        return {
            "build": self._flag("build", True),
            "build_script": self._options.get("build_script", "build"),
            "build_environment": {str(name): str(value) for name, value in environment.items()},
            "writable": self._flag("writable", False),
            **({"writable_directories": sorted(writable)} if writable else {}),
            **{name: commands for name, commands in hooks.items() if commands},
        }

    def _flag(self, name: str, default: bool) -> bool:
        return bool(boolean(self._options.get(name, default)))

    def _excluded(self) -> list[str]:
        patterns = list(self._options.get("exclude") or [])
        return [*patterns, "node_modules"] if self._flag("build", True) else patterns
