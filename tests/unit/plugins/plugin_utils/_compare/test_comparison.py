# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play of roles on this machine, gone through by Ansible itself."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

MODULE_UTILS = "ansible_collections.workbot.stability.plugins.module_utils."
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"own": "play"},
        "pre_tasks": [
            {"workbot.stability.compare": {}, "register": "compared", "tags": ["always"]},
            {
                "ansible.builtin.copy": {"content": "{{ compared | to_json }}", "dest": "{{ playbook_dir }}/told"},
                "tags": ["always"],
            },
            {"ansible.builtin.meta": "end_play", "tags": ["always"]},
        ],
        "roles": [{"role": "web", "given": "{{ made }}"}],
    }
]


def compared(folder: Path, tasks: list[dict[str, Any]], *options: str, **files: Any) -> dict[str, Any]:
    """What is found of a role with these tasks, and with `files` beside them, on this machine."""
    contents = {"tasks/main.yml": tasks, "vars/main.yml": {"inner": "role"}, **files}
    for name, content in contents.items():
        path = folder / "roles" / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    (folder / "play.yml").write_text(yaml.safe_dump(PLAY))
    inventory = [
        "--inventory=localhost,",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={sys.executable}",
    ]
    run = subprocess.run(
        ["ansible-playbook", *inventory, *options, "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads((folder / "told").read_text())
    return found


def differing(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(difference["task"], difference["what"]) for difference in found["differences"]]


def test_conditions_and_arguments_are_those_of_the_task_and_answers_lead_on(tmp_path: Path) -> None:
    stat = "ansible.builtin.stat"
    tasks = [
        {"name": "Look", stat: {"path": "{{ playbook_dir }}"}, "register": "looked"},
        {"name": "Look elsewhere", stat: {"path": "/nowhere"}, "register": "elsewhere"},
        {"name": "Keep", "ansible.builtin.set_fact": {"made": "{{ looked.stat.isdir }}"}},
        {
            "name": "Check",
            "ansible.builtin.assert": {"that": ["given", "inner == 'role'", "own == 'task'"]},
            "vars": {"own": "task"},
        },
        {"name": "Skip", "ansible.builtin.fail": {}, "when": "elsewhere.stat.exists", "register": "skipped"},
        {"name": "Say", stat: {"path": "/"}, "changed_when": "skipped is skipped and not elsewhere.stat.exists"},
    ]
    found = compared(tmp_path, tasks)
    assert differing(found) == [("Say", "")]
    assert (found["changed"], found["questions"], found["rounds"]) == (False, 3, 2)


def test_what_it_cannot_go_through_differs(tmp_path: Path) -> None:
    stat = {"ansible.builtin.stat": {"path": "/"}}
    tasks = [
        {"name": "Loop", **stat, "loop": [1]},
        {"name": "Elsewhere", **stat, "delegate_to": "other"},
        {"name": "As somebody", **stat, "become_user": "nobody"},
        {"name": "As root", **stat, "become": True},
        {"name": "Undefined", "ansible.builtin.stat": {"path": "{{ nobody_knows }}"}},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "broken"}},
        {"name": "Fail secretly", "ansible.builtin.fail": {"msg": "secret"}, "no_log": True},
        {"name": "Wrong", "ansible.builtin.stat": {"pth": "/"}},
    ]
    found = dict(differing(compared(tmp_path, tasks)))
    assert found["Loop"] == "has a loop"
    for name in ("Elsewhere", "As somebody", "As root"):
        assert found[name] == "is run elsewhere, or as somebody else"
    assert "'nobody_knows' is undefined" in found["Undefined"]
    assert found["Fail"] == "would fail: broken"
    assert found["Fail secretly"] == "would fail"
    assert found["Wrong"] == "would fail: missing required arguments: path"


def test_what_always_runs_is_gone_through_and_what_rescues_is_not(tmp_path: Path) -> None:
    fails = {"name": "Fail", "ansible.builtin.fail": {"msg": "x"}}
    block = {"block": [{"ansible.builtin.debug": {}}], "rescue": [fails], "always": [{**fails, "name": "Always"}]}
    assert differing(compared(tmp_path, [block])) == [("Always", "would fail: x")]


def test_tags_includes_and_extra_variables_count(tmp_path: Path) -> None:
    tasks = [
        {
            "name": "Include",
            "ansible.builtin.include_tasks": "more.yml",
            "tags": ["chosen"],
            "vars": {"given_to_it": "included"},
        },
        {"name": "Leave", "ansible.builtin.fail": {}},
    ]
    more = [{"name": "Tell", "ansible.builtin.fail": {"msg": "{{ inner }} {{ given_to_it }}"}, "tags": ["chosen"]}]
    options = ("--tags=chosen,always", "--extra-vars=inner=extra")
    found = compared(tmp_path, tasks, *options, **{"tasks/more.yml": more})
    assert differing(found) == [("Tell", "would fail: extra included")]


def names_of(path: Path) -> set[str]:
    """The parts of module_utils that a file imports, by their whole names."""
    package = MODULE_UTILS + ".".join(path.relative_to(ROOT / "plugins" / "module_utils").parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.rstrip(".").split(".")[: 1 - node.level or None], *([base] if base else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name.removeprefix(MODULE_UTILS) for name in found if name.startswith(MODULE_UTILS)}


def closure(names: set[str]) -> set[str]:
    known: set[str] = set()
    while names:
        name = names.pop()
        path = ROOT / "plugins" / "module_utils" / f"{name.replace('.', '/')}.py"
        if name not in known and path.exists():
            known.add(name)
            names |= names_of(path)
    return known


def imports(module: str) -> set[str]:
    text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.module]
    names = {name for node in nodes for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))}
    return {str(name).removeprefix(MODULE_UTILS) for name in names if str(name).startswith(MODULE_UTILS)}


ROLES = sorted((ROOT / "roles").glob("*/tasks/*.yml"))
MODULES = sorted(
    {
        name
        for path in ROLES
        for name in re.findall(r"^ +workbot\.stability\.(\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
        if "def main()" in (ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8")
    }
)


@pytest.mark.parametrize("module", MODULES)
def test_what_the_roles_modules_are_made_of_goes_along(module: str) -> None:
    assert closure(imports(module)) <= closure(imports("compare"))
