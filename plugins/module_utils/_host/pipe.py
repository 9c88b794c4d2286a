# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two programs of which the second reads what the first writes, each as a user of its own."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from .command import Program, running, text_of


@dataclass(frozen=True)
class Ended:
    """How a program ended; `output` is the second's, as the first's is its input."""

    status: int
    errors: str
    output: str = ""
    is_unread: bool = False
    """Of the first: nobody reads any more what it writes. SIGPIPE alone, which others may send, does not say so."""


def pipe(
    first: Program, second: Program, is_whole: Callable[[Ended], bool] = lambda _ended: True
) -> tuple[Ended, Ended]:
    """Run both to their ends, however long that takes. Raises OSError where one can't be started.

    The second does not see the end of what it reads before the first has ended. Where that is not whole it is killed,
    and does not see it at all: a signal that it handles may come later.
    """
    with contextlib.ExitStack() as held:
        said, complained, output = (held.enter_context(tempfile.TemporaryFile()) for _each in range(3))
        reader, writer = os.pipe()
        reading, writing = held.enter_context(os.fdopen(reader, "rb")), held.enter_context(os.fdopen(writer, "wb"))
        source = held.enter_context(running(first, subprocess.DEVNULL, writing, said))
        sink = held.enter_context(running(second, reading, output, complained))
        # an end of the second is one for the first as well
        reading.close()
        written = Ended(source.wait(), text_of(said), is_unread=_is_unread(writing))
        if not is_whole(written):
            sink.kill()
        writing.close()
        return written, Ended(sink.wait(), text_of(complained), text_of(output))


def _is_unread(writing: IO[bytes]) -> bool:
    """Whether all ends for reading are closed, which is an error of the other end by itself."""
    ends = select.poll()
    ends.register(writing, 0)
    return bool(ends.poll(0))
