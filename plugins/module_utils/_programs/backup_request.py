# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a database host and the repository host say to each other, as files of the repository.

pgBackRest makes a backup on the host that has the repository, and lets no other one ask for it. So a database host puts
its request there, and reads the answer.
"""

from __future__ import annotations

import dataclasses

REQUESTS, ANSWERS = "requests", "answers"
"""The directories below pgBackRest's repository; in each a file for a stanza, by its name."""
SUFFIX = ".json"
LARGEST = 16 * 1024
"""Bytes of a file."""
HEARTBEAT_SECONDS = 10.0
HEARTBEAT_TIMEOUT = 180.0
"""Seconds; as long as the network may be away."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A backup that is to be made; `id` tells it from others."""

    id: str = ""
    full: bool = False


@dataclasses.dataclass(frozen=True)
class Answer:
    """How the request of that id is; `error` is pgBackRest's own where it could not be made."""

    id: str = ""
    ended: bool = False
    error: str = ""
    heartbeat: int = 0
    """Another number every HEARTBEAT_SECONDS, until it has ended."""
