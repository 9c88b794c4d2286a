# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable comes by the recipe of CONTRIBUTING.md, in four files, from an inventory into what a program reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT
from role_defaults import defaults_text

ROLE = "roles/watchdog"
# What is written into each file, and behind which line.
CHANGES = {
    f"{ROLE}/meta/argument_specs.yml": (
        "    options:\n",
        "      watchdog_patience:\n        type: int\n        default: 7\n        description: Seconds of patience.\n",
    ),
    f"{ROLE}/vars/main.yml": ("__watchdog_rules:\n", "  watchdog_patience: {rule: integer, min: 1, max: 9}\n"),
    "plugins/plugin_utils/_site/watchdog.py": ("class Watchdog(Site):\n", "    watchdog_patience: int\n"),
    "plugins/module_utils/_programs/watchdog/settings.py": (
        "    service: str\n",
        "    patience: float\n",
    ),
}
PLAY = [
    {
        "hosts": "localhost",
        "pre_tasks": [
            {
                "workbot.stability.validate_variables": {
                    "roles": ["workbot.stability.service", "workbot.stability.watchdog"]
                },
                "register": "__service_variables",
            },
            {
                "ansible.builtin.copy": {
                    "content": "{{ __watchdog_site.settings | to_json }}",
                    "dest": "{{ written }}",
                },
                "check_mode": False,
            },
            {"ansible.builtin.meta": "end_play"},
        ],
        "roles": ["workbot.stability.service", "workbot.stability.watchdog"],
    }
]
READ = """
import dataclasses, json, sys
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.settings import Settings
known = {field.name for field in dataclasses.fields(Settings)}
written = json.load(open(sys.argv[1], encoding="utf-8"))
print(Settings(**{name: value for name, value in written.items() if name in known}).patience)
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the collection that has the variable."""
    top = tmp_path_factory.mktemp("recipe")
    collection = top / "ansible_collections/workbot/stability"
    for name in ("plugins", "roles", "meta"):
        shutil.copytree(ROOT / name, collection / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "galaxy.yml", collection)
    for name, (line, added) in CHANGES.items():
        text = (collection / name).read_text(encoding="utf-8")
        assert text.count(line) == 1, name
        (collection / name).write_text(text.replace(line, line + added), encoding="utf-8")
    # as `make docs` does
    defaults = defaults_text((collection / f"{ROLE}/meta/argument_specs.yml").read_text(encoding="utf-8"))
    (collection / f"{ROLE}/defaults/main.yml").write_text(defaults, encoding="utf-8")
    (top / "ansible.cfg").touch()
    (top / "play.yml").write_text(yaml.safe_dump(PLAY, sort_keys=False), encoding="utf-8")
    return top


def ran(top: Path, **variables: Any) -> tuple[int, str]:
    """Exit status and output, without line breaks."""
    given = json.dumps({"service_name": "shop", "service_database_enabled": False, **variables})
    done = subprocess.run(
        ["ansible-playbook", "--inventory=localhost,", "--connection=local", f"--extra-vars={given}", "play.yml"],
        cwd=top,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(top), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_it_arrives(changed: Path) -> None:
    written = changed / "settings.json"
    status, said = ran(changed, written=str(written), watchdog_patience=3)
    assert status == 0, said
    found = subprocess.check_output(
        [sys.executable, "-c", READ, written], env={**os.environ, "PYTHONPATH": str(changed)}, text=True
    )
    assert float(found) == 3


def test_a_wrong_one_is_refused(changed: Path) -> None:
    status, said = ran(changed, watchdog_patience=10)
    assert status == 2, said
    assert "watchdog_patience = 10 (localhost, CLI option '-e'): expected a whole number, 1 to 9" in said
