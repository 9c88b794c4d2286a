# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server's host and the repository host say to each other, as files of the repository.

pgBackRest makes a backup on the host that has the repository, and lets no other one ask for it. So a server's host puts
its request there, and reads the answer.
"""

from __future__ import annotations

import dataclasses

REQUESTS, ANSWERS = "requests", "answers"
"""The directories below pgBackRest's repository; in each a file for a stanza, by its name."""
SUFFIX = ".json"
LARGEST = 16 * 1024


@dataclasses.dataclass(frozen=True)
class Request:
    """That a backup is to be made; `name` tells it from others."""

    name: str = ""
    full: bool = False


@dataclasses.dataclass(frozen=True)
class Answer:
    """How the request of that name is; `error` is pgBackRest's own where it could not be made."""

    name: str = ""
    ended: bool = False
    error: str = ""
    sign_of_life: int = 0
    """Another one each few seconds, as long as it has not ended."""
