# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generated inventories, roles and drifts, each compared, in check mode too, and then run.

What is said to be as declared must neither change nor fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

# Two hundred take four minutes of a processor.
CASES = 40
VALUES = ("one", "two")
# Where a variable may be given a value besides the tasks.
LEVELS = ("default", "role", "inventory", "play", "parameter", "extra", "before", "between")
# Tells of each host what the comparison found, and what tasks changed or failed after it.
RECORD = """
import json, os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "notification", "record"

    def _write(self, result, failed):
        host, task, value = result._host.get_name(), result._task, result._result
        if task.action == "workbot.stability.compare":
            self._line(host, "found", value.get("differences", [value]))
        elif failed or value.get("changed"):
            self._line(host, "did", f"{task.get_name()}: {value.get('msg', '')}")

    def _line(self, host, what, value):
        with open(os.environ["RECORD"], "a") as file:
            file.write(json.dumps([host, what, value], default=str) + chr(10))

    def v2_runner_on_ok(self, result):
        self._write(result, False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, True)
"""

# The module of the roles: it keeps a file.
KEEP = """
from pathlib import Path
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"path": {"type": "path", "required": True}}, supports_check_mode=True)
path = Path(module.params["path"])
changed = not path.exists()
if changed and not module.check_mode:
    path.touch()
module.exit_json(changed=changed, path=str(path))
"""

Task = dict[str, Any]


class Case:
    """A host, the play for it and its role, made by chance."""

    def __init__(self, number: int, folder: Path) -> None:
        self.chance = Random(number)
        self.name = f"web{number}"
        self.folder = folder
        self.state = folder / "state" / self.name
        self.files: dict[str, Any] = {}
        self.names = [f"{self.name}_{letter}" for letter in "abc"]
        self.levels: dict[str, Task] = {level: {} for level in LEVELS}
        for name in self.names:
            for level in self.chance.sample(LEVELS, self.chance.choice((1, 1, 2, 3))):
                self.levels[level][name] = self.value(name)
        derived = {f"__{self.name}_{kind}": self.text(self.names) for kind in ("x", "y")}
        self.levels["role"].update({**derived, f"__{self.name}_z": f"{{{{ __{self.name}_x }}}}"})
        self.readable = [*self.names, *derived, f"__{self.name}_z"]
        self.tasks = self.some_tasks(2, 5, 0)

    def text(self, names: list[str]) -> str:
        return f"{{{{ {self.chance.choice(names)} | default('none') }}}}"

    def value(self, but: str) -> str:
        """A value of one of the first names may be that of a later one."""
        later = self.names[self.names.index(but) + 1 :]
        return self.text(later) if later and self.chance.random() < 0.3 else self.chance.choice(VALUES)

    def some_tasks(self, least: int, most: int, depth: int) -> list[Task]:
        return [self.task(depth) for _turn in range(self.chance.randint(least, most))]

    def task(self, depth: int) -> Task:
        kinds: list[Callable[[], Task]] = [
            self.fact,
            self.fact,
            self.look,
            self.refuse,
            self.keep,
            self.keep,
            self.debug,
        ]
        if depth < 2:
            kinds += [partial(self.block, depth + 1), *[partial(self.include, depth + 1)] * 2]
        task = self.chance.choice(kinds)()
        if self.chance.random() < 0.3:
            task["when"] = self.condition()
        if self.chance.random() < 0.3:
            task["vars"] = self.some_vars()
        if self.chance.random() < 0.03:
            task.update(self.chance.choice(({"tags": ["never"]}, {"ignore_errors": True}, {"run_once": True})))
        return task

    def some_vars(self) -> Task:
        name = self.chance.choice(self.names)
        return {name: self.value(name)}

    def condition(self) -> str:
        name = self.chance.choice(self.readable)
        conditions = (
            f"{name} | default('none') == '{self.chance.choice(VALUES)}'",
            f"{name} is defined",
            f"{name} is string",
            f"{name} is mapping",
            f"'{self.chance.choice(VALUES)}' in {name} | default('none') | string",
            f"({name} | default({{}})).stat | default({{'exists': false}}) == {{'exists': false}}",
            "not ansible_check_mode",
        )
        return self.chance.choice(conditions)

    def path(self) -> str:
        name = self.chance.choice(self.readable)
        return f"{self.state}/{{{{ ({name} | default('none') | string)[:4] }}}}"

    def fact(self) -> Task:
        return {"ansible.builtin.set_fact": self.some_vars()}

    def look(self) -> Task:
        name = self.chance.choice([*self.names, f"{self.name}_looked"])
        self.readable = [*{*self.readable, name}] if name in self.readable else [*self.readable, name]
        self.readable.sort()
        return {"ansible.builtin.stat": {"path": self.path()}, "register": name}

    def refuse(self) -> Task:
        return {"ansible.builtin.assert": {"that": f"not ({' and '.join(self.condition() for _turn in range(3))})"}}

    def keep(self) -> Task:
        task: Task = {"keep": {"path": self.path()}}
        if self.chance.random() < 0.2:
            task["failed_when"] = self.condition()
        if self.chance.random() < 0.2:
            task["changed_when"] = self.condition()
        if self.chance.random() < 0.2:
            task["register"] = self.chance.choice(self.names)
        if self.chance.random() < 0.05:
            task["loop"] = []
        return task

    def debug(self) -> Task:
        task: Task = {"ansible.builtin.debug": {"msg": self.text(self.readable)}}
        for keyword in ("changed_when", "failed_when"):
            if self.chance.random() < 0.03:
                task[keyword] = self.condition()
        return task

    def block(self, depth: int) -> Task:
        return {"block": self.some_tasks(1, 2, depth), "always": self.some_tasks(0, 1, depth)}

    def include(self, depth: int) -> Task:
        name = f"part{len(self.files)}.yml"
        self.files[f"tasks/{name}"] = []
        self.files[f"tasks/{name}"] = self.some_tasks(1, 2, depth)
        if self.chance.random() < 0.2:
            name = name.replace(".yml", f"{{{{ '' if {self.condition()} else '' }}}}.yml")
            return {"ansible.builtin.include_tasks": {"file": name}}
        return {f"ansible.builtin.{self.chance.choice(('include', 'import'))}_tasks": name}

    def write(self) -> Task:
        """Write the role, and what is on the host; return the play."""
        files = {
            **self.files,
            "tasks/main.yml": self.tasks,
            "defaults/main.yml": self.levels["default"],
            "vars/main.yml": self.levels["role"],
        }
        for name, content in files.items():
            path = self.folder / "roles" / self.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content))
        for name in (*VALUES, "none", "{'ch"):
            # else it has drifted
            if self.chance.random() < 0.95:
                self.state.mkdir(parents=True, exist_ok=True)
                (self.state / name).touch()
        facts = {
            level: [{"ansible.builtin.set_fact": self.levels[level]}] if self.levels[level] else []
            for level in ("before", "between")
        }
        return {
            "hosts": self.name,
            "gather_facts": False,
            # or the first play whose host fails would be the last
            "ignore_errors": True,
            "vars": self.levels["play"],
            "pre_tasks": [*facts["before"], {"ansible.builtin.import_tasks": "compare.yml"}, *facts["between"]],
            "roles": [{"role": self.name, **self.levels["parameter"]}],
        }


def run(folder: Path, *options: str) -> dict[str, dict[str, list[Any]]]:
    """Run the plays; what was recorded of each host."""
    record = folder / f"record{len(options)}"
    ran = subprocess.run(
        ["ansible-playbook", "--inventory=hosts.yml", "--extra-vars=@extra.yml", *options, "play.yml"],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_CALLBACK_PLUGINS": str(folder / "callbacks"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_HOME": str(folder / "home"),
            "RECORD": str(record),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    # a host that fails ends nothing for the others
    assert ran.returncode in (0, 2), ran.stdout[-5000:] + ran.stderr[-5000:]
    found: dict[str, dict[str, list[Any]]] = {}
    for line in record.read_text().splitlines():
        host, what, value = json.loads(line)
        of_host = found.setdefault(host, {"found": [], "did": []})
        of_host[what] += value if what == "found" else [value]
    return found


def test_what_is_said_to_be_as_declared_neither_changes_nor_fails(tmp_path: Path) -> None:
    cases = [Case(number, tmp_path) for number in range(CASES)]
    plays = [case.write() for case in cases]
    compare: list[Task] = [{"workbot.stability.compare": {"first": True}}]
    compare += [{"ansible.builtin.meta": "end_play", "when": "compares | default(false) | bool"}]
    hosts = {case.name: case.levels["inventory"] for case in cases}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    extra: Task = {}
    for case in cases:
        extra.update(case.levels["extra"])
    written = {"compare": compare, "play": plays, "extra": extra, "hosts": {"all": {"hosts": hosts, "vars": local}}}
    for name, content in written.items():
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(content))
    for name, text in (("callbacks/record.py", RECORD), ("library/keep.py", KEEP)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    checked = run(tmp_path, "--check", "--extra-vars=compares=true")
    ran = run(tmp_path)
    assert ran.keys() == checked.keys() == {case.name for case in cases}
    same = [name for name, host in ran.items() if not host["found"]]
    wrong = {
        name: (ran[name]["found"], checked[name]["found"], ran[name]["did"])
        for name in ran
        if ran[name]["did"] and not (ran[name]["found"] and checked[name]["found"])
    }
    assert wrong == {}
    # it says so of most of those of which it is true
    true = [name for name, host in ran.items() if not host["did"]]
    assert len(true) > CASES // 8
    assert len(same) > 0.5 * len(true)
