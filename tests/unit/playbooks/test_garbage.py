# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python goes through what Ansible has loaded seldom, while a playbook of the collection runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml
from places import ROOT

# In the process of a task, as the actions of the collection are.
FILTER = "import gc\n\nclass FilterModule:\n    def filters(self): return {'seldom': lambda _: gc.get_threshold()[0]}\n"


def test_the_processes_of_tasks_look_for_garbage_seldom(tmp_path: Path) -> None:
    task = {"ansible.builtin.debug": {"msg": "after {{ 0 | seldom }} objects"}}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "seldom.py").write_text(FILTER)
    (tmp_path / "callback_plugins").symlink_to(ROOT / "playbooks/callback_plugins")
    argv = ["ansible-playbook", "--inventory=localhost,", "--connection=local", "play.yml"]
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "after 50000 objects" in done.stdout, done.stdout + done.stderr
