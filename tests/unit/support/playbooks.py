# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as a user runs them, on inventories that a test has written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from places import ROOT


def run_playbook(playbook: str, inventory: Path, *options: str) -> tuple[int, str]:
    """Exit status and output, without line breaks."""
    done = subprocess.run(
        ["ansible-playbook", f"--inventory={inventory}", *options, playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())
