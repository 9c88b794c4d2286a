# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site needs of the host beside its configuration: Debian's default site gone, log files, the others waiting."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .._host.errors import StabilityError
from .._host.service_tree import fill
from .staging import Layout, run
from .transaction import read_entry

DEFAULT_SITE = "sites-enabled/default"
DEFAULT_SITE_FILE = "sites-available/default"
LOG_MODE = 0o640
_POLL_SECONDS = 0.25


def default_site_is_untouched(config: Path) -> bool:
    """Whether the enabled default site is the link of Debian's package to the file as the package brought it."""
    link = read_entry(config / DEFAULT_SITE)
    if link is None or link.target not in (str(config / DEFAULT_SITE_FILE), f"../{DEFAULT_SITE_FILE}"):
        return False
    return _is_as_packaged(config / DEFAULT_SITE_FILE)


def is_in_use(layout: Layout) -> bool:
    """Whether nginx is on the host and serves more than Debian's package brought: a restart may cut somebody off."""
    if not layout.binary.exists():
        return False
    if has_other_sites(layout.config, {DEFAULT_SITE}) or any(map(_is_foreign, layout.config.glob("modules-enabled/*"))):
        return True
    return not (default_site_is_untouched(layout.config) and _is_as_packaged(layout.config / "nginx.conf"))


def _is_foreign(module: Path) -> bool:
    """Whether it is no link to a module's file of Debian's: it may be a proxy of connections that are not HTTP."""
    entry = read_entry(module)
    return entry is None or not (entry.target or "").startswith("/usr/share/nginx/modules-available/")


def _is_as_packaged(path: Path) -> bool:
    entry = read_entry(path)
    if entry is None or entry.target is not None:
        return False
    # MD5 is what dpkg records; it is compared, not trusted.
    digest = hashlib.md5(entry.data, usedforsecurity=False).hexdigest()
    # Which of the two packages has the file depends on the release; a package that is missing is no error here.
    result = run(["dpkg-query", "--show", "--showformat=${Conffiles}\n", "nginx-common", "nginx"])
    return [str(path), digest] in [line.split()[:2] for line in result.stdout.splitlines()]


def has_other_sites(config: Path, gone: Collection[str]) -> bool:
    """Whether nginx would still have files of sites, once those that are named by their paths are gone."""
    found = [*config.glob("conf.d/*.conf"), *config.glob("sites-enabled/*")]
    return any(str(path.relative_to(config)) not in gone for path in found)


def missing_logs(layout: Layout, logs: Sequence[str]) -> list[str]:
    bad = [name for name in logs if not name or "/" in name or name in (".", "..")]
    if bad:
        raise StabilityError(f"{', '.join(map(repr, bad))}: no file name in {layout.logs}.")
    return [str(layout.logs / name) for name in logs if not (layout.logs / name).exists()]


def create_logs(layout: Layout, logs: Sequence[str]) -> list[str]:
    """Makes the log files as Debian's logrotate policy does; nginx itself would make them readable for everyone."""
    missing = missing_logs(layout, logs)
    for path in missing:
        owner = pwd.getpwnam("www-data").pw_uid, grp.getgrnam("adm").gr_gid
        fill(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, LOG_MODE), b"", LOG_MODE, owner)
    return missing


@contextmanager
def announced(closing: Path, seconds: float, is_connected: Callable[[], bool]) -> Iterator[None]:
    """Have the sites tell their clients that connections are about to be closed.

    That begins so many seconds beforehand, or fewer once nobody is connected.
    """
    if not seconds:
        yield
        return
    try:
        closing.touch(mode=0o644)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and is_connected():
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        closing.unlink(missing_ok=True)
