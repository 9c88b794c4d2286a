# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has no public name in ansible-core is as `_ansible` knows it.

`tools/unit-ansible` runs this with other releases of ansible-core.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugins
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.workbot.stability.plugins.plugin_utils import _ansible

FILES = {
    "play.yml": """
- hosts: localhost
  gather_facts: false
  roles:
    - {role: shop, tags: [sold], when: open, colour: red}
  tasks:
    - {name: of the play, debug: {msg: "{{ greeting }}"}}
    - {name: include, include_role: {name: shop}}
""",
    "roles/shop/meta/main.yml": "dependencies: [{role: ground}]",
    "roles/shop/tasks/main.yml": """
- {name: always real, ping: {}, check_mode: false}
- {name: always checked, ping: {}, check_mode: true}
- {name: more, include_tasks: {file: more.yml, apply: {tags: [applied]}}}
""",
    "roles/shop/tasks/more.yml": "- {name: included, debug: {msg: more}}",
    "roles/ground/tasks/main.yml": "- {name: below, ping: {}}",
}


class Project:
    """A playbook as Ansible has read it."""

    def __init__(self, directory: Path) -> None:
        for name, text in FILES.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
        self.loader = DataLoader()
        self.loader.set_basedir(str(directory))
        self.inventory = InventoryManager(self.loader, sources="localhost,")
        self.manager = VariableManager(self.loader, self.inventory)
        file = str(directory / "play.yml")
        self.play: Play = Playbook.load(file, variable_manager=self.manager, loader=self.loader).get_plays()[0]
        self.tasks = {task.get_name(): task for block in self.play.compile() for task in tasks_of(block)}

    def task(self, name: str) -> Task:
        return next(task for label, task in self.tasks.items() if label.endswith(name))

    def action(self, name: str, **variables: Any) -> ActionBase:
        """The action of the task, as Ansible makes it where it runs the task."""
        context = PlayContext()
        return plugins.action_loader.get(
            "debug",
            task=self.task(name),
            connection=plugins.connection_loader.get("local", context),
            play_context=context,
            loader=self.loader,
            templar=Templar(self.loader, variables=variables),
            shared_loader_obj=plugins,
        )


def tasks_of(block: Block) -> Iterator[Task]:
    for entry in block.block:
        yield from tasks_of(entry) if isinstance(entry, Block) else [entry]


@pytest.fixture(scope="session", autouse=True)
def collections() -> None:
    """Ansible's names for its own modules lead through its loader of collections, which a process sets up once."""
    plugins.init_plugin_loader()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_where_a_value_was_written_is_known(project: Project, tmp_path: Path) -> None:
    origin = _ansible.origin_of(project.task("of the play").args["msg"])
    assert (origin.path, origin.line_num) == (str(tmp_path / "play.yml"), 7)
    assert _ansible.origin_of("nobody's") is None


def test_tasks_and_roles_are_told_apart(project: Project) -> None:
    told = {_ansible.uuid_of(entry) for entry in (*project.tasks.values(), *project.play.get_roles())}
    assert len(told) == len(project.tasks) + len(project.play.get_roles())


def test_the_tasks_of_one_run_have_something_in_common(project: Project) -> None:
    own = {_ansible.run_of(task) for task in project.tasks.values() if task.action != "meta"}
    assert len(own) == 1
    assert own != {""}


def test_a_task_knows_its_role_and_its_directory(project: Project, tmp_path: Path) -> None:
    role = _ansible.role_in(project.task("always real"))
    assert role is not None
    assert role.get_name() == "shop"
    assert _ansible.directory_of(role) == str(tmp_path / "roles/shop")
    assert _ansible.role_in(project.task("of the play")) is None


def test_a_part_of_a_role_has_nothing_of_the_entry_in_the_play(project: Project) -> None:
    role = next(role for role in project.play.get_roles() if role.get_name() == "shop")
    part = _ansible.part_of(role)
    assert (role.tags, role.when, role.get_role_params()["colour"]) == (["sold"], ["open"], "red")
    assert (part.tags, part.when) == ([], [])
    assert "colour" not in part.get_role_params()
    assert part.get_name() == "shop"


def test_a_task_that_is_done_in_check_mode_says_so(project: Project) -> None:
    named = ("always real", "always checked", "of the play")
    assert [_ansible.is_done_in_check_mode(project.task(name)) for name in named] == [True, False, False]


def test_a_bare_task_has_the_chain_of_roles_and_nothing_else(project: Project) -> None:
    shop = next(role for role in project.play.get_roles() if role.get_name() == "shop")
    (role,) = shop.get_direct_dependencies()
    task = _ansible.bare_task(project.play, role, [shop])
    assert task.get_dep_chain() == [shop]
    # of its own; what stands at the role that depends on its role is for it, too
    assert (task.name, task.args, task.vars) == ("", {}, {})
    assert (task.tags, task.when) == (shop.tags, shop.when)
    assert _ansible.role_in(task) is role
    assert _ansible.bare_task(project.play, None, []).get_dep_chain() in (None, [])


def test_what_a_task_includes_is_below_it(project: Project, tmp_path: Path) -> None:
    task = project.task("more")
    role = _ansible.role_in(task)
    assert role is not None
    (block,) = _ansible.included_by(task, role, str(tmp_path / "roles/shop/tasks/more.yml"), project.loader)
    (included,) = tasks_of(block)
    assert (included.name, included.args["msg"]) == ("included", "more")
    # of the task's own parents, and what it applies
    assert {"sold", "applied"} <= {*included.tags}
    assert _ansible.role_in(included) is role
    # a second time as well: nothing is taken from the task itself
    assert len(_ansible.included_by(task, role, str(tmp_path / "roles/shop/tasks/more.yml"), project.loader)) == 1


def test_what_a_play_s_task_includes_looks_for_files_in_the_role(project: Project, tmp_path: Path) -> None:
    role = next(role for role in project.play.get_roles() if role.get_name() == "shop")
    path = str(tmp_path / "roles/shop/tasks/more.yml")
    (block,) = _ansible.included_by(project.task("include"), role, path, project.loader)
    assert block.get_dep_chain() == [role]
    (included,) = tasks_of(block)
    assert str(tmp_path / "roles/shop") in included.get_search_path()


def test_a_host_is_found_by_its_name(project: Project) -> None:
    assert _ansible.host_named("localhost", project.manager) is project.inventory.get_host("localhost")


def test_an_action_has_its_task_what_it_reads_files_with_and_a_templar(project: Project) -> None:
    action = project.action("of the play", greeting="hello")
    assert _ansible.task_of(action) is project.task("of the play")
    assert _ansible.loader_of(action) is project.loader
    text = project.task("of the play").args["msg"]
    assert _ansible.templar_of(action).template(text) == "hello"
    assert _ansible.templar_of(action, {"greeting": "goodbye"}).template(text) == "goodbye"
    # the action's own is as before
    assert _ansible.templar_of(action).template(text) == "hello"


def test_the_action_of_another_task_has_its_own_variables(project: Project) -> None:
    own = project.action("of the play", greeting="hello")
    other = _ansible.action_for(project.task("of the play"), {"greeting": "goodbye"}, own)
    assert type(other).__module__.endswith("debug")
    assert _ansible.templar_of(other).template(project.task("of the play").args["msg"]) == "goodbye"
    # a module without an action of its own
    module = _ansible.action_for(project.task("always real"), {}, own)
    assert type(module).__module__.endswith("normal")


def test_somebody_else_answers_for_the_host(project: Project) -> None:
    action = _ansible.action_for(project.task("always real"), {}, project.action("of the play"))
    _ansible.answer_by(action, lambda *_given, **_named: {"ping": "answered", "changed": False})
    assert action.run(task_vars={})["ping"] == "answered"
