# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One commit of a git repository, fetched by the controller's git: the host needs neither git nor a key."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...module_utils._host.command import quiet_run
from ...module_utils._host.errors import StabilityError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# What a server says that has no such commit, and git where it is not in what was fetched.
_NO_COMMIT = re.compile("not our ref|Not a valid object name")
# What git says of a server that speaks its older protocol: sshd passes a request for a newer one on only when told to.
_ONLY_REFS = "unadvertised object"
_NO_MATCH = 2  # git ls-remote --exit-code
_LFS_POINTER = "^version https://git-lfs[.]github[.]com/spec/v1$"
_SUBMODULE = "160000 "
_CONNECT_TIMEOUT = 30
_SHOWN = 3
# What git, ssh and curl write (in English, see _environment), and what a person can do about it.
_ADVICE = (
    (
        "Host key verification failed",
        "the server's host key is not known to this user: compare it and add it to known_hosts",
    ),
    ("Permission denied (publickey", "the server accepts none of the keys: set release_git_key to a deploy key of it"),
    ("bad permissions", "ssh refuses a key that others may read: chmod 600"),
    ("terminal prompts disabled", "the server asks for a login: use ssh and release_git_key, or a credential helper"),
    ("Authentication failed", "the server refuses the login of git's credential helper"),
    ("Could not resolve host", "the name of the server is not known"),
    ("does not appear to be a git repository", "there is no repository"),
    ("not found", "there is no such repository, or its login may not see it"),
)


# A git hook that starts a deployment has these set for its own repository.
_OF_ANOTHER_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
}


@dataclass(frozen=True)
class Repository:
    """A repository, the private key for it ("" for the user's own ssh settings), and seconds for one command."""

    url: str
    key: str = ""
    timeout: int = 900

    def commit(self, ref: str) -> str:
        """The commit that ref (a branch, a tag, a whole commit id, or refs/...) names. Raises StabilityError."""
        self._refuse_secrets()
        if _COMMIT.fullmatch(ref):
            return ref
        names = [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        patterns = [*names, *(f"{name}^{{}}" for name in names)]
        status, listing, errors = self._run(["ls-remote", "--exit-code", "--", self.url, *patterns])
        if status not in (0, _NO_MATCH):
            raise self._error(errors)
        found = _listed(listing)
        # An annotated tag is an object of its own; what it points to has ^{} behind its name.
        commits = {name: found.get(f"{name}^{{}}") or found[name] for name in names if name in found}
        if not commits:
            raise StabilityError(f"{self.url} has no branch or tag {ref!r}.{self._similar(ref)}")
        if len(set(commits.values())) > 1:
            raise StabilityError(f"{ref!r} is both a branch and a tag of {self.url}: write {' or '.join(commits)}.")
        return next(iter(commits.values()))

    def pack(self, commit: str, directory: Path) -> Path:
        """Write the files of the commit to an archive in directory, which is empty. Raises StabilityError."""
        self._in(directory, "init", "--quiet", "--bare", ".")
        self._fetch(commit, directory)
        self._refuse_what_is_elsewhere(commit, directory)
        archive = directory / "release.tar.gz"
        self._in(directory, "archive", "--format=tar.gz", f"--output={archive}", commit)
        return archive

    def _fetch(self, commit: str, directory: Path) -> None:
        fetch = ["fetch", "--quiet", "--no-tags"]
        status, _output, errors = self._run([*fetch, "--depth=1", "--", self.url, commit], directory)
        if _ONLY_REFS in errors:
            # It hands out what a branch or a tag points to; what lies behind comes with all of them.
            self._in(directory, *fetch, "--", self.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            status, _output, errors = self._run(["cat-file", "-e", f"{commit}^{{commit}}"], directory)
        if status != 0 and _NO_COMMIT.search(errors):
            raise StabilityError(f"{self.url} has no commit {commit}.")
        if status != 0:
            raise self._error(errors)

    def _refuse_secrets(self) -> None:
        parts = urlsplit(self.url)
        if parts.password or (parts.username and parts.scheme != "ssh"):
            raise StabilityError(
                f"The address of the repository on {parts.hostname} holds a login, which logs and process lists would "
                "show: use release_git_key, or git's credential helper on the controller."
            )

    def _refuse_what_is_elsewhere(self, commit: str, directory: Path) -> None:
        listing = self._in(directory, "ls-tree", "-r", "-z", "--full-tree", commit)
        modules = [entry.split("\t", 1)[1] for entry in listing.split("\0") if entry.startswith(_SUBMODULE)]
        if modules:
            raise StabilityError(
                f"{self.url} has submodules ({_few(modules)}), which are repositories of their own: deploy an archive "
                "or a directory that holds them (release_archive, release_directory)."
            )
        status, output, errors = self._run(["grep", "-l", "-z", "-E", "-e", _LFS_POINTER, commit], directory)
        pointers = [name.split(":", 1)[1] for name in output.split("\0") if name]
        if status not in (0, 1):
            raise self._error(errors)
        if pointers:
            raise StabilityError(
                f"{self.url} keeps files in Git LFS ({_few(pointers)}), and git archive holds only pointers to them: "
                "deploy a directory where they were fetched (release_directory)."
            )

    def _similar(self, ref: str) -> str:
        status, listing, _errors = self._run(["ls-remote", "--heads", "--tags", "--refs", "--", self.url])
        names = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in _listed(listing)]
        close = difflib.get_close_matches(ref, names, n=5)
        if re.fullmatch(r"[0-9a-f]{4,63}", ref):
            return " A commit is given by its whole id, 40 digits."
        return f" Did you mean {', '.join(close)}?" if status == 0 and close else ""

    def _in(self, directory: Path, *arguments: str) -> str:
        status, output, errors = self._run(arguments, directory)
        if status != 0:
            raise self._error(errors)
        return output

    def _run(self, arguments: Sequence[str], directory: Path | None = None) -> tuple[int, str, str]:
        """Exit status and both streams of one git command."""
        try:
            place = str(directory) if directory else None
            done = quiet_run(["git", *arguments], self.timeout, _environment(os.environ, self.key), cwd=place)
        except FileNotFoundError:
            raise StabilityError("There is no git on the controller: install it there.") from None
        except subprocess.TimeoutExpired:
            raise StabilityError(f"{self.url}: git {arguments[0]} took more than {self.timeout} s.") from None
        return done.returncode, done.stdout, done.stderr

    def _error(self, errors: str) -> StabilityError:
        advice = next((advice for words, advice in _ADVICE if words in errors), "")
        said = "\n".join(errors.strip().splitlines()[-10:])
        return StabilityError(f"{self.url} can't be read{': ' + advice if advice else ''}. git says:\n{said}")


def _environment(caller: Mapping[str, str], key: str) -> dict[str, str]:
    """The caller's environment, so that proxies and credential helpers work, but nothing that asks a person."""
    environment = {name: value for name, value in caller.items() if name not in _OF_ANOTHER_REPOSITORY}
    ssh = [environment.get("GIT_SSH_COMMAND", "ssh"), "-o BatchMode=yes", f"-o ConnectTimeout={_CONNECT_TIMEOUT}"]
    if key:
        ssh.append(f"-o IdentitiesOnly=yes -i {shlex.quote(key)}")
    return environment | {"GIT_SSH_COMMAND": " ".join(ssh), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "LANGUAGE": "C"}


def _listed(listing: str) -> dict[str, str]:
    """Name -> object of each line of git ls-remote."""
    lines = [line.split("\t", 1) for line in listing.splitlines() if "\t" in line]
    return {name: found for found, name in lines}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if names[_SHOWN:] else "")
