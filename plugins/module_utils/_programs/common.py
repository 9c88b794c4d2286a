# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs on a host have in common: they run as the service's user, and say what keeps them from it."""

from __future__ import annotations

import os
import pwd

from .._host.errors import StabilityError


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
