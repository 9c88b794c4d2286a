# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module release: names the release, and sends its source only when the host lacks it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._download import DownloadError
from ..module_utils._release_source import (
    Entry,
    Identified,
    SourceError,
    address_digest,
    archive_digest,
    entries,
    identify,
    pack,
    tree_digest,
)

_MODULE = "workbot.stability.release"


class ActionModule(ActionBase):
    """Runs on the controller in place of the module, which it calls once, or twice when the source must be sent."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            source = _Source(self._task.args, self._loader.path_dwim)
            found = source.identified()
            module = self._module(found, source.address, task_vars)
            if module.get("source_needed"):
                module = self._send(source, found, task_vars)
        except (SourceError, DownloadError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(module)
        return result

    def _module(self, found: Identified, archive: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = self._task.args | {
            "source": {"id": found.identifier, "digest": found.digest, "archive": archive},
        }
        outcome: dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars)
        return outcome

    def _send(self, source: _Source, found: Identified, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as local:
            archive = source.packed(Path(local, "release.tar.gz"))
            remote = self._make_tmp_path()
            try:
                path = self._connection._shell.join_path(remote, "release.tar.gz")
                self._transfer_file(str(archive), path)
                return self._module(found, path, task_vars)
            finally:
                self._remove_tmp_path(remote, force=True)


class _Source:
    """The source that the task's options name."""

    def __init__(self, options: dict[str, Any], locate: Any) -> None:
        self._options = options
        directory, archive = options.get("directory") or "", options.get("archive") or ""
        if bool(directory) == bool(archive):
            given = "both are set" if directory else "neither is set"
            raise SourceError(f"Exactly one of release_directory and release_archive is needed; {given}.")
        if options.get("checksum") and directory:
            raise SourceError("release_checksum belongs to release_archive; a directory has none.")
        self.address = archive if archive.startswith("https://") else ""
        self._directory = Path(locate(directory)) if directory else None
        self._archive = None if self.address or directory else Path(locate(archive))
        self._entries: list[Entry] = []
        self._content = ""

    def identified(self) -> Identified:
        """Name and digest; reads the whole source."""
        checksum = self._options.get("checksum") or ""
        if self._directory:
            self._entries = entries(self._directory, self._excluded())
            self._content = tree_digest(self._entries)
        elif self._archive:
            self._content = archive_digest(self._archive, checksum)
        else:
            self._content = address_digest(self.address, checksum)
        return identify(self._content, self._shaping(), self._options.get("version") or "")

    def packed(self, target: Path) -> Path:
        """Path of the archive to send."""
        if self._archive:
            return self._archive
        pack(self._entries, target, self._content)
        return target

    def _shaping(self) -> dict[str, object]:
        """The options that shape what is on disk in the end: another value is another release."""
        environment = self._options.get("build_environment") or {}
        return {
            "build": self._flag("build", True),
            "build_script": self._options.get("build_script", "build"),
            "build_environment": {str(name): str(value) for name, value in environment.items()},
            "writable": self._flag("writable", False),
        }

    def _flag(self, name: str, default: bool) -> bool:
        return bool(boolean(self._options.get(name, default)))

    def _excluded(self) -> list[str]:
        patterns = list(self._options.get("exclude") or [])
        return [*patterns, "node_modules"] if self._flag("build", True) else patterns
