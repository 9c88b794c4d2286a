# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.console import answer, complain, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Worker 3 of shop", "Worker 3 of shop"),
        ("\u5de5\u4f5c\u8fdb\u7a0b", "\u5de5\u4f5c\u8fdb\u7a0b"),
        ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\u202e\u200b\u2028", r"\u202e\u200b\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_each_line_of_an_answer_is_one_and_a_complaint_may_have_several(capsys: pytest.CaptureFixture[str]) -> None:
    answer("one\ntwo", "three")
    complain(ValueError("one\ntwo\x1b"))
    said = capsys.readouterr()
    assert said.out == "one\\ntwo\nthree\n"
    assert said.err == "one\ntwo\\x1b\n"


def test_a_terminal_gets_an_escape_for_a_character_that_it_does_not_know() -> None:
    module = "ansible_collections.workbot.stability.plugins.module_utils._host.console"
    script = f"from {module} import answer, run_command; run_command(lambda: answer('Größe') or 4)"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (4, rb"Gr\xf6\xdfe" + b"\n")


PROSE, COMMAND = "a sentence of many words " * 6, "  postgresql-backup restore " + "--time now " * 8


def test_on_a_terminal_lines_are_broken_between_words_and_commands_to_copy_are_not() -> None:
    """By a real terminal of 80 columns."""
    module = "ansible_collections.workbot.stability.plugins.module_utils._host.console"
    script = f"from {module} import answer, complain; answer({PROSE!r}, {COMMAND!r}); complain({PROSE!r})"
    terminal, program_end = pty.openpty()
    termios.tcsetwinsize(program_end, (24, 80))
    subprocess.run([sys.executable, "-c", script], stdout=program_end, stderr=program_end, check=True)
    os.close(program_end)
    lines = os.read(terminal, 4096).decode().split("\r\n")
    os.close(terminal)
    assert COMMAND in lines
    assert max(len(line) for line in lines if line != COMMAND) <= 80
    assert " ".join(" ".join(lines).split()) == " ".join(f"{PROSE} {COMMAND} {PROSE}".split())
