# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs on a host have in common: their settings, the user that they run as, and what they ask."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .._host.command import quiet_run
from .._host.console import complain
from .._host.errors import StabilityError

_T = TypeVar("_T")
_READERS = "root or as the service's user"
_LARGEST_REPORT = 4 * 1024 * 1024
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}


def load_settings(path: Path, make: Callable[[Mapping[str, Any]], _T], readers: str = _READERS) -> _T:
    """What `make` makes of the settings, unless it raises ValueError. Raises StabilityError."""
    content = read_settings(path, readers)
    try:
        return make(content)
    except ValueError as error:
        message = f"{path} is no configuration of this command ({error}). Apply the playbook to recreate it."
        raise StabilityError(message) from error


def read_settings(path: Path, readers: str = _READERS) -> dict[str, Any]:
    """The settings that a role has written for a program. Raises StabilityError, which shows nothing of the content."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise StabilityError(f"{path} is not readable for you: run this as {readers}") from error
    except OSError as error:
        raise StabilityError(f"{path}: {error.strerror}. Apply the playbook to recreate it.") from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise StabilityError(f"{path} is damaged. Apply the playbook to recreate it.")
    return content


def stamp(path: Path) -> tuple[int, int] | None:
    """Identifies one version of a file; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def diagnose(argv: Sequence[str], seconds: float) -> list[dict[str, Any]] | None:
    """The findings of one run of the diagnosis command; None where it fails or takes too long."""
    try:
        done = quiet_run(argv, seconds, _ENVIRONMENT)
        findings = json.loads(done.stdout[:_LARGEST_REPORT])["findings"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError, RecursionError):
        return None
    return [finding for finding in findings if isinstance(finding, dict)] if isinstance(findings, list) else None


def attempt(command: Callable[[], int], config: str, failed: int = 1) -> int:
    """The exit status of a command with that settings file; what it raises people read as a sentence."""
    try:
        return command()
    except StabilityError as error:
        complain(error)
    except OSError as error:
        complain(f"{error.filename or config}: {error.strerror}")
    return failed


def become(user: str) -> None:
    """As root, turn into the service's user for good: root then sees what cron sees, and leaves no file of its own."""
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        # Where libpq looks for a client's certificate: at root's it would not be let in, and give up.
        os.environ["HOME"] = entry.pw_dir
    except (KeyError, OSError) as error:
        raise StabilityError(f"can't become user {user}: {error}") from error
