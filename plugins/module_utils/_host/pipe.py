# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two programs of which the second reads what the first writes, each as a user of its own."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass

from .command import Program, running, text_of


@dataclass(frozen=True)
class Ended:
    """How a program ended; `output` is the second's, as the first's is its input."""

    status: int
    errors: str
    output: str = ""


def pipe(first: Program, second: Program) -> tuple[Ended, Ended]:
    """Run both to their ends, however long that takes. Raises OSError where one can't be started."""
    with contextlib.ExitStack() as held:
        said, complained, output = (held.enter_context(tempfile.TemporaryFile()) for _each in range(3))
        source = held.enter_context(running(first, subprocess.DEVNULL, subprocess.PIPE, said))
        sink = held.enter_context(running(second, source.stdout, output, complained))
        # an end of the second is one for the first as well
        if source.stdout:
            source.stdout.close()
        ends = sink.wait(), source.wait()
        return Ended(ends[1], text_of(said)), Ended(ends[0], text_of(complained), text_of(output))
