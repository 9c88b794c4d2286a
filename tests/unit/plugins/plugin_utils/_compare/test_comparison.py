# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play of roles on this machine, gone through by Ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"own": "play"},
        "pre_tasks": [
            {"name": "Before", "ansible.builtin.debug": {"msg": "not to come"}},
            {"ansible.builtin.import_tasks": "compare.yml", "tags": ["always"]},
            {"name": "Between", "ansible.builtin.set_fact": {"between": True}},
        ],
        "roles": [{"role": "web", "given": "{{ made }}"}],
        "post_tasks": [
            {"name": "After", "ansible.builtin.fail": {"msg": "x"}, "when": "after | default(false) | bool"}
        ],
    }
]
COMPARE = [
    {"workbot.stability.compare": {"first": "{{ first | default(false) }}"}, "register": "compared"},
    {
        "ansible.builtin.copy": {"content": "{{ compared | to_json }}", "dest": "{{ playbook_dir }}/told"},
        "check_mode": False,
    },
    {"ansible.builtin.meta": "end_play"},
]
STAT = "ansible.builtin.stat"


def compared(
    folder: Path,
    tasks: list[dict[str, Any]],
    *options: str,
    role: dict[str, Any] | None = None,
    between: list[dict[str, Any]] | None = None,
    **files: Any,
) -> dict[str, Any]:
    """What is found of a role with these tasks, and with `files` beside them, on this machine.

    `between` are tasks of the play, after the comparison and before the role.
    """
    contents = {"tasks/main.yml": tasks, "vars/main.yml": {"inner": "role"}, **files}
    for name, content in contents.items():
        path = folder / "roles" / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    play = {**PLAY[0], "pre_tasks": [*PLAY[0]["pre_tasks"], *(between or ())]}  # type: ignore[misc]
    (folder / "play.yml").write_text(yaml.safe_dump([{**play, "roles": [role]} if role else play]))
    (folder / "compare.yml").write_text(yaml.safe_dump(COMPARE))
    inventory = [
        "--inventory=localhost,",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={sys.executable}",
    ]
    run = subprocess.run(
        ["ansible-playbook", *inventory, *options, "play.yml"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_HOME": str(folder / "home")},
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
    tasks = [
        {"name": "Look", STAT: {"path": "{{ playbook_dir }}"}, "register": "looked", "when": "between"},
        {"name": "Look elsewhere", STAT: {"path": "/nowhere"}, "register": "elsewhere"},
        {"name": "Keep", "ansible.builtin.set_fact": {"made": "{{ looked.stat.isdir }}"}},
        {
            "name": "Check",
            "ansible.builtin.assert": {"that": ["given", "inner == 'role'", "own == 'task'"]},
            "vars": {"own": "task"},
        },
        {"name": "Skip", "ansible.builtin.fail": {}, "when": "elsewhere.stat.exists", "register": "skipped"},
        {"name": "Say", STAT: {"path": "/"}, "changed_when": "skipped is skipped and not elsewhere.stat.exists"},
        {"name": "Ask for real", "ansible.builtin.command": "echo hello", "check_mode": False, "register": "asked"},
        {"name": "Read", "ansible.builtin.assert": {"that": "asked.stdout == 'hello'"}},
    ]
    found = compared(tmp_path, tasks)
    assert differing(found) == [("Say", ""), ("Ask for real", "")]
    assert (found["changed"], found["questions"], found["rounds"]) == (False, 4, 1)


def test_what_needs_no_answer_does_not_wait_for_what_does(tmp_path: Path) -> None:
    """Three tasks, of which the second needs the first, and the third is in the way of neither."""
    tasks = [
        {"name": "First", STAT: {"path": "/"}, "register": "root"},
        {"name": "Second", STAT: {"path": "{{ '/' if root.stat.isdir else '/nowhere' }}"}, "changed_when": True},
        {"name": "Third", STAT: {"path": "/"}, "changed_when": True},
    ]
    found = compared(tmp_path, tasks)
    assert [task for task, _what in differing(found)] == ["Second", "Third"]
    assert (found["questions"], found["rounds"]) == (3, 2)


@pytest.mark.parametrize(
    "expression",
    [
        "(root | default({'stat': {'exists': false}})).stat.exists",
        "(root.stat | default({'exists': false})).exists",
        "root is not changed",
        "service_found",
        "(late | default({'stat': {'exists': true}})).stat.exists is false",
    ],
)
def test_an_answer_that_is_to_come_is_not_taken_for_none(tmp_path: Path, expression: str) -> None:
    tasks = [
        {"name": "Look", STAT: {"path": "/"}, "register": "root"},
        {"name": "Look again", "ansible.builtin.include_tasks": "again.yml", "when": "root.stat.exists"},
        {"name": "Check", "ansible.builtin.assert": {"that": expression}},
    ]
    again = [{"name": "Look for nothing", STAT: {"path": "/nowhere"}, "register": "late"}]
    variables = {"inner": "role", "service_found": "{{ root.stat.exists | default(false) }}"}
    found = compared(tmp_path, tasks, **{"tasks/again.yml": again, "vars/main.yml": variables})
    assert (differing(found), found["rounds"]) == ([], 2)


def test_what_is_rendered_once_has_nothing_of_a_task_s_a_role_s_or_a_result_s_own(tmp_path: Path) -> None:
    defaults = {
        "web_port": 80,
        "web_name": "shop",
        "web_given": "default",
        "web_learned": "default",
        "web_own": "default",
    }
    derived = {"__web_address": "{{ __web_host }}:{{ web_port }}", "__web_host": "{{ web_name }}.example"}
    derived |= {f"__web_{kind}": f"{{{{ web_{kind} }}}}, {{{{ __web_host }}}}" for kind in ("given", "learned", "own")}
    tasks = [
        {"name": "Look", STAT: {"path": "/"}, "register": "looked"},
        {"name": "Keep", "ansible.builtin.set_fact": {"web_learned": "{{ looked.stat.isdir }}"}},
        {"name": "Same", "ansible.builtin.assert": {"that": "__web_address == 'shop.example:80'"}},
        {"name": "Role", "ansible.builtin.assert": {"that": "__web_given == 'role, shop.example'"}},
        {"name": "Result", "ansible.builtin.assert": {"that": "__web_learned == 'True, shop.example'"}},
        {
            "name": "Task",
            "ansible.builtin.assert": {"that": "__web_own == 'task, shop.example'"},
            "vars": {"web_own": "task"},
        },
        {"name": "Other task", "ansible.builtin.assert": {"that": "__web_own == 'default, shop.example'"}},
    ]
    role = {"role": "web", "given": "{{ made }}", "web_given": "role"}
    files = {"defaults/main.yml": defaults, "vars/main.yml": derived}
    assert differing(compared(tmp_path, tasks, role=role, **files)) == []


def test_a_fact_wins_over_the_role_and_a_later_one_over_an_earlier_one_that_waits(tmp_path: Path) -> None:
    tasks = [
        {"name": "Look", STAT: {"path": "/"}, "register": "inner"},
        {"name": "Result", "ansible.builtin.assert": {"that": "inner.stat.exists"}},
        {"name": "Wait", "ansible.builtin.set_fact": {"given": "{{ inner.stat.isdir }}", "late": "waited"}},
        {"name": "Between", "ansible.builtin.assert": {"that": "late == 'waited'"}},
        {"name": "Keep", "ansible.builtin.set_fact": {"inner": "fact", "late": "last", "web_part": "fact"}},
        {"name": "Fact", "ansible.builtin.assert": {"that": ["inner == 'fact'", "late == 'last'"]}},
        {"name": "Derived", "ansible.builtin.assert": {"that": "__web_whole == 'fact'"}},
        {"name": "Task", "ansible.builtin.assert": {"that": "inner == 'fact'"}, "vars": {"inner": "task"}},
        # the parameter of a role wins over facts
        {"name": "Parameter", "ansible.builtin.assert": {"that": "given == 'made'"}},
    ]
    variables = {"inner": "role", "web_part": "role", "__web_whole": "{{ web_part }}"}
    role = {"role": "web", "given": "made"}
    found = compared(tmp_path, tasks, role=role, **{"vars/main.yml": variables})
    assert (differing(found), found["rounds"]) == ([], 1)


def test_names_in_what_the_check_of_the_variables_has_found_are_no_references(tmp_path: Path) -> None:
    tasks = [
        {"name": "Look", STAT: {"path": "/"}, "register": "looked"},
        {"name": "Wait", "ansible.builtin.set_fact": {"late": "{{ looked.stat.isdir }}"}},
        {"name": "Ask", STAT: {"path": "{{ __service_variables.path }}"}},
    ]
    checked = json.dumps({"__service_variables": {"path": "/", "names": ["late"]}})
    found = compared(tmp_path, tasks, "--extra-vars", checked)
    assert (differing(found), found["rounds"]) == ([], 1)


def test_check_mode_is_told_what_the_real_run_would_do(tmp_path: Path) -> None:
    fails = [
        {"name": "Leave out", "ansible.builtin.fail": {"msg": "x"}, "when": "not ansible_check_mode"},
        {"name": "Pass over", "ansible.builtin.fail": {"msg": "x"}, "failed_when": "not ansible_check_mode"},
    ]
    assert [task for task, _what in differing(compared(tmp_path, fails, "--check"))] == ["Leave out", "Pass over"]


def test_names_of_what_is_skipped_after_all_keep_their_values(tmp_path: Path) -> None:
    tasks = [
        {"name": "Look", STAT: {"path": "/"}, "register": "root"},
        {"name": "Look once more", "ansible.builtin.include_tasks": "more.yml", "when": "not root.stat.exists"},
        {"name": "Check", "ansible.builtin.assert": {"that": "root.stat.isdir"}},
    ]
    more = [{"name": "Look for nothing", STAT: {"path": "/nowhere"}, "register": "root"}]
    assert differing(compared(tmp_path, tasks, **{"tasks/more.yml": more})) == []


def test_what_it_cannot_go_through_differs(tmp_path: Path) -> None:
    stat = {STAT: {"path": "/"}}
    tasks = [
        {"name": "Loop", **stat, "loop": [1]},
        {"name": "Elsewhere", **stat, "delegate_to": "other"},
        {"name": "As somebody", **stat, "become_user": "nobody"},
        {"name": "As root", **stat, "become": True},
        {"name": "Undefined", STAT: {"path": "{{ nobody_knows }}"}},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "broken"}},
        {"name": "Fail secretly", "ansible.builtin.fail": {"msg": "secret"}, "no_log": True},
        {"name": "Wrong", STAT: {"pth": "/"}},
        {"name": "Wait", "ansible.builtin.wait_for": {"path": "/"}},
        {"name": "Give facts", "ansible.builtin.getent": {"database": "passwd"}},
        {"name": "Elsewhere by a variable", **stat, "vars": {"ansible_host": "other"}},
        {"name": "In another environment", **stat, "environment": {"LANG": "C"}},
        {"name": "Keep for ever", "ansible.builtin.set_fact": {"kept": 1, "cacheable": True}},
        {"name": "Say and change", "ansible.builtin.debug": {"msg": "x"}, "changed_when": True},
        {"name": "End", "ansible.builtin.meta": "end_host"},
        {"name": "Ask in vain", STAT: {"path": "{{ nobody_knows }}"}, "no_log": True},
    ]
    found = dict(differing(compared(tmp_path, tasks)))
    assert found["Loop"] == "can't be compared: it is repeated, or goes on in the background"
    for name in ("Elsewhere", "As somebody", "As root"):
        assert found[name] == "can't be compared: it is run elsewhere, or as somebody else"
    assert "'nobody_knows' is undefined" in found["Undefined"]
    assert found["Fail"] == "would fail: broken"
    assert found["Fail secretly"] == "would fail"
    assert found["Wrong"] == "would fail: missing required arguments: path"
    for name in ("Wait", "Give facts"):
        assert found[name] == "can't be compared: its module has no check mode, or gives facts"
    assert found["Elsewhere by a variable"] == "can't be compared: ansible_host is Ansible's own"
    assert found["In another environment"] == found["Elsewhere"]
    assert found["Say and change"] == "can't be compared: what becomes of its result is not known"
    assert found["Keep for ever"] == found["End"] == "can't be compared: it changes what later tasks are"
    assert found["Ask in vain"] == "can't be compared"


def test_a_module_that_gives_no_answer_differs_and_the_others_are_heard(tmp_path: Path) -> None:
    tasks = [{"name": "Die", "dies": {}}, {"name": "Look", STAT: {"path": "/"}, "changed_when": True}]
    found = compared(tmp_path, tasks, **{"library/dies.py": "import os\nos._exit(3)\n"})
    assert differing(found) == [("Die", "would fail: the module gave no answer"), ("Look", "")]


TELLS = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({}, supports_check_mode=True)
module.exit_json(changed=True, msg=f"{module.check_mode} {module.no_log}")
"""
WARNS = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({}, supports_check_mode=True)
module.warn("look out")
module.exit_json(changed=False, told=["by hand"])
"""


def test_a_warning_is_said_where_nothing_differs(tmp_path: Path) -> None:
    tasks = [{"name": "Warn", "warns": {}}, {"name": "Warn again", "warns": {}}]
    found = compared(tmp_path, tasks, **{"library/warns.py": WARNS})
    assert (found["differences"], found["messages"], found["told"]) == ([], ["look out"] * 2, ["by hand"])


@pytest.mark.parametrize(
    ("keywords", "told"),
    [({}, "True False"), ({"check_mode": False}, "False False"), ({"no_log": True}, "True True")],
)
def test_a_module_knows_of_check_mode_and_that_it_must_not_log(
    tmp_path: Path, keywords: dict[str, bool], told: str
) -> None:
    tells = {"name": "Tell", "tells": {}, "register": "said", **keywords}
    tasks = [tells, {"name": "Say", "ansible.builtin.debug": {"msg": "{{ said.msg }}"}}]
    assert compared(tmp_path, tasks, **{"library/tells.py": TELLS})["messages"] == [told]


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


def test_a_part_of_one_of_the_play_s_roles_is_gone_through_without_what_the_play_says_of_the_role(
    tmp_path: Path,
) -> None:
    part = {"name": "web", "tasks_from": "part.yml", "apply": {"tags": ["chosen"]}}
    include = {"name": "Include", "ansible.builtin.include_role": part, "tags": ["chosen"]}
    said = "{{ inner }} {{ given | default('-') }} {{ lookup('ansible.builtin.file', 'own.txt') }}"
    fails = [{"name": "Tell", "ansible.builtin.fail": {"msg": said}}]
    files: dict[str, Any] = {
        "tasks/part.yml": [{"ansible.builtin.import_tasks": "fails.yml"}],
        "tasks/fails.yml": fails,
    }
    files["files/own.txt"] = "file"
    role = {"role": "web", "given": "param", "when": False, "tags": ["other"]}
    options = ("--tags=chosen,always", "--skip-tags=other")
    found = compared(tmp_path, [], *options, role=role, between=[include], **files)
    assert [(one["role"], one["task"], one["what"]) for one in found["differences"]] == [
        ("web", "Tell", "would fail: role - file")
    ]


@pytest.mark.parametrize("name", ["none", "web"])
def test_a_part_of_another_role_or_of_a_role_s_own_can_t_be_compared(tmp_path: Path, name: str) -> None:
    include = {"name": "Include", "ansible.builtin.include_role": {"name": name, "tasks_from": "part.yml"}}
    beside = {"name": "Beside", "ansible.builtin.fail": {"msg": "x"}}
    tasks, between = ([beside, include], []) if name == "web" else ([beside], [include])
    found = compared(tmp_path, tasks, between=between, **{"tasks/part.yml": []})
    assert sorted(differing(found)) == [
        ("Beside", "would fail: x"),
        ("Include", "can't be compared: it is no part of a role of the play's"),
    ]


def test_what_comes_after_the_roles_is_gone_through(tmp_path: Path) -> None:
    assert differing(compared(tmp_path, [], "--extra-vars=after=true")) == [("After", "would fail: x")]


def test_what_is_said_waits_for_the_answers_and_no_answer_waits_for_it(tmp_path: Path) -> None:
    looks = [
        {"name": f"Look {name}", STAT: {"path": path}, "register": name}
        for name, path in (("root", "/"), ("other", "/nowhere"))
    ]
    says = [
        {
            "name": f"Say {name}",
            "ansible.builtin.debug": {"msg": f"{{{{ {name}.stat.exists }}}}"},
            "when": f"{name}.stat.exists",
        }
        for name in ("root", "other")
    ]
    shows = {"name": "Show", "ansible.builtin.debug": {"var": "root"}}
    found = compared(tmp_path, [looks[0], says[0], shows, looks[1], says[1]])
    assert (found["messages"], found["differences"], found["rounds"]) == ([True], [], 1)


def test_one_difference_may_be_enough(tmp_path: Path) -> None:
    fails = [{"name": name, "ansible.builtin.fail": {"msg": "x"}} for name in ("First", "Second")]
    assert differing(compared(tmp_path, fails)) == [("First", "would fail: x"), ("Second", "would fail: x")]
    assert differing(compared(tmp_path, fails, "--extra-vars=first=true")) == [("First", "would fail: x")]
