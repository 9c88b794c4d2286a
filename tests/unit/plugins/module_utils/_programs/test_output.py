# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each command of a host, run as the program that is installed, where its output can't be written."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._program import build
from places import ROOT

SOURCES = ROOT / "plugins/module_utils"
_ENTRY = re.compile(r"""entry_point"?:\s*"?(_programs\.[\w.]+):run""")
_ROLES = [*ROOT.glob("roles/*/*/**/*.yml"), *ROOT.glob("plugins/plugin_utils/_site/*.py")]
# What no person runs: certbot's hook, the unit of the metrics, the helper behind the watchdog's socket, an activation.
_UNATTENDED = {
    "_programs.certificate",
    "_programs.metrics.publish",
    "_programs.watchdog.root_helper",
    "_programs.renewal",
}
_RUN = re.compile(r"^def run\((.*)\) -> None:$", re.MULTILINE)


def source_of(module: str) -> str:
    return (SOURCES / f"{module.replace('.', '/')}.py").read_text()


INSTALLED = {name for path in _ROLES for name in _ENTRY.findall(path.read_text())}
COMMANDS = sorted(INSTALLED - _UNATTENDED)


def test_each_installed_program_is_known() -> None:
    assert INSTALLED >= _UNATTENDED
    assert len(COMMANDS) >= 8


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Has something to print, whatever host it runs on."""
    match = _RUN.search(source_of(request.param))
    assert match
    names = [part.partition(":")[0].strip() for part in match[1].split(",")]
    path = tmp_path / "command"
    arguments = dict.fromkeys(names, "/nowhere")
    path.write_bytes(build(SOURCES, f"{request.param}:run", arguments, f"{sys.executable} -I"))
    path.chmod(0o755)
    return f"{shlex.quote(str(path))} --help"


def shell(script: str) -> tuple[int, str]:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
        ("<&- >&-", "Bad file descriptor"),
    ],
)
def test_output_that_is_lost_has_a_status_of_its_own(command: str, redirection: str, reason: str) -> None:
    expected = f"can't write to standard output: {reason}\n"
    assert shell(f"{command} {redirection}") == (os.EX_IOERR, expected)
    assert shell(f"{command} {redirection} 2>&-") == (os.EX_IOERR, "")


def test_a_reader_that_has_gone_ends_it_without_a_word(command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(shlex.split(command), stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
