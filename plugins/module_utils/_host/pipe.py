# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program as long as it is needed, or two of which the second reads what the first writes. Each has a user."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from .command import Identity, as_user

# What is said beyond it is left out.
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Program:
    """What is run, as whom; without an identity as whoever runs this."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    identity: Identity | None = None


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


@contextlib.contextmanager
def running(
    program: Program, stdin: int | IO[bytes] | None, stdout: int | IO[bytes], stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """One of them, which ends with the block, as does what it has begun. Raises OSError where it can't be started."""
    # This logic does not know AnsibleModule, so it cannot use its run_command.
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        program.argv,
        cwd="/",
        env=dict(program.environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        # as another user it has no part in root's terminal
        start_new_session=True,
        umask=0o027,
        **as_user(program.identity),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_LARGEST).decode("utf-8", "replace")
