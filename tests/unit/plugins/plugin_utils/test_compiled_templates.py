# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Templates are compiled once for all runs, and what is not the collection's is never written to a file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.workbot.stability.plugins.plugin_utils import compiled_templates
from ansible_collections.workbot.stability.plugins.plugin_utils._ansible import ENVIRONMENT, Origin, SourceWasEncrypted
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action
from ansible_collections.workbot.stability.plugins.plugin_utils.compiled_templates import compiled_once

ROLES = Path(compiled_templates.__file__).parents[2] / "roles"


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What Jinja has compiled, with a home of Ansible's own."""
    found: list[str] = []
    original = ENVIRONMENT.compile

    def counted(environment: Any, source: Any, *given: Any, **named: Any) -> Any:
        found.append(source)
        return original(environment, source, *given, **named)

    monkeypatch.setattr(ENVIRONMENT, "compile", counted)
    monkeypatch.setattr(constants.config, "get_config_value", {"ANSIBLE_HOME": str(tmp_path / "home")}.__getitem__)
    (tmp_path / "home").mkdir()
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "home" / "workbot_stability_templates"


def written(text: str, path: Path = ROLES / "nginx/vars/main/main.yml") -> str:
    """The text as Ansible has read it from that file."""
    tagged: str = trust_as_template(Origin(path=str(path)).tag(text))
    return tagged


def render(text: str, path: Path = ROLES / "nginx/vars/main/main.yml", **variables: Any) -> Any:
    return Templar(variables=variables).template(written(text, path))


def rendered(text: str, path: Path = ROLES / "nginx/vars/main/main.yml", **variables: Any) -> Any:
    """As in a task's process: nothing is known but what is kept."""
    with compiled_once():
        return render(text, path, **variables)


def test_a_template_of_the_collection_is_compiled_by_one_run_for_all(compiled: list[str], kept: Path) -> None:
    assert rendered("{{ name }}.conf", name="shop") == "shop.conf"
    assert rendered("{{ name }}.conf", name="other") == "other.conf"
    assert compiled == ["{{ name }}.conf"]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_what_another_process_has_written_meanwhile_stays(compiled: list[str], kept: Path) -> None:
    rendered("{{ 1 }}")
    content = kept.read_bytes()
    kept.unlink()
    with compiled_once():
        render("{{ 2 }}")
        kept.write_bytes(content)
        kept.chmod(0o600)
    assert [rendered("{{ 1 }}"), rendered("{{ 2 }}")] == [1, 2]
    assert compiled == ["{{ 1 }}", "{{ 2 }}"]


def test_one_of_an_inventory_is_compiled_once_for_a_task_and_is_in_no_file(compiled: list[str], kept: Path) -> None:
    # even where that is in a checkout of the collection
    inventory = ROLES.parent / "inventories/production/host_vars/shop.yml"
    with compiled_once():
        assert [render("{{ 'hunter2' }}", inventory) for _time in range(2)] == ["hunter2"] * 2
    assert compiled == ["{{ 'hunter2' }}"]
    assert rendered("{{ 'collection' }}") == "collection"
    assert b"collection" in kept.read_bytes()
    assert b"hunter2" not in kept.read_bytes()
    assert rendered("{{ 'hunter2' }}", inventory) == "hunter2"
    assert compiled.count("{{ 'hunter2' }}") == 2


def test_a_condition_is_kept_as_well(compiled: list[Any]) -> None:
    condition = written("port == 80")
    for _run in range(2):
        with compiled_once():
            assert Templar(variables={"port": 80}).evaluate_conditional(condition)
            assert not Templar(variables={"port": 81}).evaluate_conditional(condition)
    assert len(compiled) == 1


def test_a_text_that_is_a_template_is_not_the_condition_that_it_would_be(compiled: list[Any]) -> None:
    text = written("1{{ '' }}")
    for _run in range(2):
        with compiled_once():
            assert Templar(variables={}).template(text) == "1"
            with pytest.raises(Exception, match="Syntax error in expression"):
                Templar(variables={}).evaluate_expression(text)
    assert compiled == ["1{{ '' }}"]


def test_two_conditions_that_are_compiled_at_once_are_not_mistaken_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each in a thread, and both have begun before either is compiled."""
    together, original = threading.Barrier(2, timeout=10), ENVIRONMENT.compile

    def held_up(*given: Any, **named: Any) -> Any:
        together.wait()
        return original(*given, **named)

    monkeypatch.setattr(ENVIRONMENT, "compile", held_up)

    def look(text: str) -> bool:
        return bool(Templar(variables={"port": 80}).evaluate_conditional(written(text)))

    with compiled_once(), ThreadPoolExecutor(2) as threads:
        assert list(threads.map(look, ["port == 80", "port == 81"])) == [True, False]
    monkeypatch.setattr(ENVIRONMENT, "compile", original)
    with compiled_once():
        assert [look("port == 80"), look("port == 81")] == [True, False]


def test_a_filter_of_the_same_name_that_is_called_in_another_way_is_called_in_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jinja's own is passed the environment, and a project's filter is not."""
    assert rendered("{{ ports | unique }}", ports=[1, 1]) == [1]
    projects = filter_loader._wrap_func("unique", "unique", lambda ports: ["ours", *ports])
    original = filter_loader.get
    with monkeypatch.context() as project:
        project.setattr(filter_loader, "get", lambda name: projects if name == "unique" else original(name))
        assert rendered("{{ ports | unique }}", ports=[1, 1]) == ["ours", 1, 1]
    assert rendered("{{ ports | unique }}", ports=[1, 1]) == [1]


def test_what_somebody_has_encrypted_in_a_role_is_in_no_file(kept: Path) -> None:
    text = SourceWasEncrypted().tag(written("{{ 'hunter2' }}"))
    with compiled_once():
        assert Templar(variables={}).template(text) == "hunter2"
    assert not kept.exists()


def test_how_backslashes_are_read_is_part_of_what_is_kept() -> None:
    template = written(r"{{ 'a\\b' }}")
    for _run in range(2):
        with compiled_once():
            assert Templar(variables={}).template(template) == r"a\\b"
            assert Templar(variables={}).template(template, escape_backslashes=False) == r"a\b"


def test_other_delimiters_are_not_mistaken_for_the_usual_ones() -> None:
    text = '#jinja2: variable_start_string: "[["\n{{ name }}'
    assert rendered("{{ name }}", name="shop") == "shop"
    assert rendered(text, name="shop") == "{{ name }}"


def test_what_can_not_be_compiled_says_so_each_time(kept: Path) -> None:
    for _run in range(2):
        with pytest.raises(Exception, match="Syntax error in template"):
            rendered("{{ name")
    assert not kept.exists()


@pytest.mark.parametrize("damage", ["cut", "garbled", "empty", "writable", "version"])
def test_a_file_that_can_not_be_relied_on_is_made_again(
    damage: str, compiled: list[str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered("{{ 1 }}")
    whole = kept.read_bytes()
    if damage == "writable":
        kept.chmod(0o660)
    elif damage == "version":
        monkeypatch.setattr(compiled_templates, "ansible_version", "2.99.0")
    else:
        kept.write_bytes({"cut": whole[:-1], "garbled": whole[:-9] + b"another" + whole[-2:], "empty": b""}[damage])
    assert rendered("{{ 1 }}") == 1
    assert len(compiled) == 2
    rendered("{{ 1 }}")
    assert len(compiled) == 2
    assert kept.stat().st_mode & 0o777 == 0o600


def test_another_users_file_is_not_read(compiled: list[str], kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered("{{ 1 }}")
    status = kept.stat()
    monkeypatch.setattr(os, "geteuid", lambda: status.st_uid + 1)
    assert rendered("{{ 1 }}") == 1
    assert len(compiled) == 2


def test_a_home_that_can_not_be_written_is_no_error(kept: Path) -> None:
    kept.parent.rmdir()
    assert rendered("{{ 1 }}") == 1
    assert not kept.parent.exists()


def test_what_no_version_has_any_more_does_not_pile_up(monkeypatch: pytest.MonkeyPatch, compiled: list[str]) -> None:
    monkeypatch.setattr(compiled_templates, "_MOST", 2)
    for number in (1, 2, 3, 3, 1):
        rendered(f"{{{{ {number} }}}}")
    assert len(compiled) == 4


def test_without_the_names_in_ansible_it_does_nothing(
    monkeypatch: pytest.MonkeyPatch, compiled: list[str], kept: Path
) -> None:
    monkeypatch.setattr(compiled_templates, "ENVIRONMENT", None)
    assert [rendered("{{ 1 }}"), rendered("{{ 1 }}")] == [1, 1]
    assert len(compiled) == 2
    assert not kept.exists()


class Rendering(Action):
    def outcome(self) -> dict[str, Any]:
        return {"rendered": render("{{ 1 }}")}


def test_what_actions_render_is_compiled_by_the_first_of_them(
    monkeypatch: pytest.MonkeyPatch, compiled: list[str]
) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    assert [object.__new__(Rendering).run() for _task in range(2)] == [{"rendered": 1}] * 2
    assert compiled == ["{{ 1 }}"]


def test_an_action_within_another_changes_nothing_about_it() -> None:
    """A comparison has many in threads, which end in any order."""
    before = ENVIRONMENT.compile
    with compiled_once():
        within = ENVIRONMENT.compile
        with compiled_once():
            assert ENVIRONMENT.compile is within
        assert ENVIRONMENT.compile is within
    assert ENVIRONMENT.compile is before


def test_it_ends_with_its_block() -> None:
    before = ENVIRONMENT.compile
    with pytest.raises(ZeroDivisionError), compiled_once():
        raise ZeroDivisionError
    assert ENVIRONMENT.compile is before
