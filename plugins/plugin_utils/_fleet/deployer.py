# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who deploys, seen from the controller: the words that a second deployment is shown."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...module_utils._host import proc

_LONGEST = 300


def deployer(environment: Mapping[str, str]) -> str:
    """`user@host` of the controller, and behind it the CI job (and for whom it runs) where its variables name one."""
    account = environment.get("SUDO_USER") or _account()
    job, person = _job(environment)
    words = f"{account}@{socket.gethostname()}"
    if job:
        words += f" ({person + ', ' if person else ''}{job})"
    # It becomes one line of a file and of a message.
    return "".join(sign if sign.isprintable() else "?" for sign in words)[:_LONGEST]


def controller() -> str:
    """What tells this controller from others of the same name: their process numbers mean other processes."""
    with contextlib.suppress(OSError):
        # a container has numbers of its own, and after a boot they begin anew
        return f"{socket.gethostname()} {proc.boot_id()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def has_died(lease: Mapping[str, Any]) -> bool:
    """Whether the run that took the lease is known to have ended: it was one of this controller's."""
    return lease.get("controller") == controller() and not lives(int(lease["process"]))


def lives(process: int) -> bool:
    """Whether there is a process of that number on the controller."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # Containers of CI systems often run under a number that has no name.
        return f"uid {os.getuid()}"


def _job(environment: Mapping[str, str]) -> tuple[str, str]:
    """Address of the CI job, and the person who started it; "" for what is not known."""
    if job := environment.get("CI_JOB_URL"):
        return job, environment.get("GITLAB_USER_LOGIN", "")
    if run := environment.get("GITHUB_RUN_ID"):
        server = environment.get("GITHUB_SERVER_URL", "https://github.com")
        repository = environment.get("GITHUB_REPOSITORY", "")
        return f"{server}/{repository}/actions/runs/{run}", environment.get("GITHUB_ACTOR", "")
    return environment.get("BUILD_URL", ""), environment.get("BUILD_USER_ID", "")
