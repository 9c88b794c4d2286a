# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs on the host print: for people, or what is wrong, for the journal.

File names, SQL texts and lines of logs are others' words, and root's terminal would obey what is in them.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TextIO

_STREAMS = ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY))
_END_BY = 128
"""What a shell adds to the number of the signal that has ended a program."""


def visible(text: str) -> str:
    """One line in which what a terminal would obey, or not show, is an escape, as \\x1b, \\n or \\u202e."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def listed(items: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first ones, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return between.join(items[:most]) + more


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal that a stream writes to; 0 where it is none, so that a line of a file stays one."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """The text as lines of that width, broken between words; as one where the width is 0."""
    if not width or len(text) <= width:
        return [text]
    wrap = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return wrap.wrap(text)


def answer(*lines: str) -> None:
    _print(sys.stdout, lines)


def complain(text: object) -> None:
    _print(sys.stderr, str(text).split("\n"))


def _print(stream: TextIO, lines: Iterable[str]) -> None:
    """Whatever is indented is a command to copy, or a table: it stays one line."""
    width = terminal_width(stream)
    shown = (wrapped(visible(line), 0 if line.startswith(" ") else width) for line in lines)
    stream.write("".join(f"{part}\n" for line in shown for part in line))


def run_command(command: Callable[[], int]) -> NoReturn:
    """Run a command of a host, and end the process with its exit status at once, whatever a thread still waits for.

    Where standard output is closed or full, the command ends with EX_IOERR (74), which means nothing else. Where its
    reader is gone, it ends with the status of a program that SIGPIPE has ended.
    """
    for number, flags in _STREAMS:
        _fill(number, flags)
    sys.stdout = _writer(_Output(1, "w", closefd=False))
    sys.stderr = sys.stderr or _writer(io.FileIO(2, "w", closefd=False))
    status = _status(command)
    os._exit(_status(_flush) or status)


class _Output(io.FileIO):
    """Standard output. What can't be written ends the command: nothing that handles an error takes it for its own."""

    is_lost = False

    def write(self, data: Any, /) -> int:
        if self.is_lost:
            return len(data)
        try:
            return super().write(data)
        except BrokenPipeError:
            self.is_lost = True
            raise SystemExit(_END_BY + signal.SIGPIPE) from None
        except OSError as error:
            self.is_lost = True
            complain(f"can't write to standard output: {error.strerror}")
            raise SystemExit(os.EX_IOERR) from None


def _fill(number: int, flags: int) -> None:
    """Keep the place of a closed stream: the next file that is opened would take it, and get what is printed."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, flags)


def _writer(raw: io.FileIO) -> io.TextIOWrapper:
    """A terminal may not know each character."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=raw.isatty())


def _status(step: Callable[[], int]) -> int:
    try:
        return step()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else os.EX_OK
    except KeyboardInterrupt:
        return _END_BY + signal.SIGINT


def _flush() -> int:
    sys.stdout.flush()
    return os.EX_OK
