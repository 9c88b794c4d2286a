# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for node_exporter, made of the watchdog's status: a file of root's in the textfile collector's directory.

The status is written by the service's user, who must neither hold up node_exporter nor say anything of another service:
names, types, help texts and the label `service` are ours, only values and the other labels' texts are the status's.

A program that stays, since one that starts every few seconds costs more of the processor than this one of memory.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

from ..._host.atomic import save
from ..._host.small_file import read_small
from ..watchdog.metrics import render

_PERIOD = 5.0
_LARGEST = 1024 * 1024
_MODE = 0o644


def run(service: str, status: str, target: str) -> None:
    """The entry point: ends where the target can't be written, and systemd starts it again."""
    last: object = None
    while True:
        try:
            last = publish(service, Path(status), Path(target), last)
        except OSError as error:
            sys.stderr.write(f"{error.filename or target}: {error.strerror}\n")
            raise SystemExit(1) from error
        time.sleep(_PERIOD)


def publish(service: str, status: Path, target: Path, last: object) -> object:
    """Have the target say what the status does; without one there is no target. Raises OSError.

    `last` is what the call before returned: what was published then.
    """
    text, now = "", None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content, seen = read_small(status, _LARGEST)
        now = (seen.st_ino, seen.st_mtime_ns)
        if now == last:
            return last
        record = json.loads(content)
        text = render({**record, "service": service}) if isinstance(record, dict) else ""
    if text:
        save(target, text.encode("utf-8", "replace"), _MODE)
    else:
        target.unlink(missing_ok=True)
    return now
