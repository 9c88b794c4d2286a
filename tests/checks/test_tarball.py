# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: a tarball, installed in an empty place, run by its name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from project import COLLECTION, ROOT, entries, playbooks, tracked

# What users get. All else is a checkout's: tests, the reference service, inventories with vaults, leavings of tools.
PUBLISHED = re.compile(
    r"^((docs|meta|playbooks|plugins|roles)/.+|changelogs/(changelog|config)\.yaml|\w+\.md|README\.zh-CN\.md|LICENSE)$"
)
MADE_BY_BUILD = {"FILES.json", "MANIFEST.json"}
# What people keep in a checkout that git ignores, or that they have not committed.
KEPT_BY_PEOPLE = (
    "inventory/hosts.yml",
    "inventory/group_vars/app/main.yml",
    "inventory/group_vars/app/vault.yml",
    "inventories/shop/.secrets/password",
    "playbooks/group_vars/app.yml",
    "playbooks/host_vars/shop1/vault.yml",
    "group_vars/app.yml",
    "host_vars/shop1.yml",
    "hosts.yml",
    "vault.yml",
    "secrets.yml",
    ".vault-password",
    "company-ca.pem",
    "node_modules/pg/index.js",
    "roles/pm2/files/node_modules/pg/index.js",
    "collections/ansible_collections/other/thing/README.md",
    "plugins/modules/__pycache__/a.cpython-313.pyc",
    ".venv/bin/python",
    "run.log",
    "workbot-stability-0.0.1.tar.gz",
)

IMPORT = "ansible.builtin.import_role"
PLAYBOOK = "ansible.builtin.import_playbook"
ELSEWHERE = ("proxy", "database", "monitor", "backup")


def bin_path(name: str) -> Path:
    """A command of the Python environment that runs the tests."""
    return Path(sys.executable).with_name(name)


def published() -> set[str]:
    names = {path.relative_to(ROOT).as_posix() for path in tracked(ROOT)}
    return {name for name in names if PUBLISHED.match(name)}


def contents_problems(names: set[str]) -> list[str]:
    """What a tarball has that it should not, and what it lacks."""
    names = names - MADE_BY_BUILD
    return [f"has {name}" for name in sorted(names - published())] + [
        f"lacks {name}" for name in sorted(published() - names)
    ]


def build(root: Path, folder: Path) -> Path:
    subprocess.run(
        [bin_path("ansible-galaxy"), "collection", "build", "--output-path", folder],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.tar.gz")
    return built


def contents(tarball: Path) -> set[str]:
    with tarfile.open(tarball) as archive:
        return {member.name for member in archive.getmembers() if member.isfile()}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("tarball"))


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections directory that holds nothing but the installed tarball."""
    folder = tmp_path_factory.mktemp("collections")
    # The dependencies are not asked for: no server of collections is needed to see that the tarball is whole.
    # Forced, because a checkout that the environment already knows as this collection would count as installed.
    subprocess.run(
        [
            bin_path("ansible-galaxy"),
            "collection",
            "install",
            tarball,
            "-p",
            folder,
            "--no-deps",
            "--offline",
            "--force",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def test_tarball_has_what_users_need_and_nothing_else(tarball: Path) -> None:
    problems = contents_problems(contents(tarball))
    assert not problems, "\n" + "\n".join(problems)


def test_tarball_takes_nothing_that_people_keep(tmp_path: Path) -> None:
    for path in tracked(ROOT):
        copy = tmp_path / "checkout" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name in KEPT_BY_PEOPLE:
        kept = tmp_path / "checkout" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("private", encoding="utf-8")
    problems = contents_problems(contents(build(tmp_path / "checkout", tmp_path / "out")))
    assert not problems, "\n" + "\n".join(problems)


def listed(installed: Path, name: str, groups: Iterable[str]) -> str:
    """The tasks of a playbook for an inventory that has these groups."""
    inventory = installed.parent / "hosts"
    inventory.write_text("".join(f"[{group}]\nlocalhost\n" for group in groups), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    # Only this place and the packaged collections beside ansible itself: the checkout must not answer.
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(installed)
    run = subprocess.run(
        [bin_path("ansible-playbook"), "--list-tasks", "-vv", "-i", str(inventory), f"{COLLECTION}.{name}"],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("name", sorted(playbooks(ROOT)))
def test_playbook_runs_by_its_collection_name(installed: Path, name: str) -> None:
    output = listed(installed, name, ["app", *ELSEWHERE])
    assert f"{installed}/ansible_collections/" in output
    for play in playbooks(ROOT)[name]:
        assert play["name"] in output or "hosts" not in play
    applied = [entry for entry in entries(playbooks(ROOT)[name]) if {"roles", IMPORT, PLAYBOOK} & set(entry)]
    assert bool(re.search(rf"{re.escape(COLLECTION)}\.\w+ : ", output)) == bool(applied)


@pytest.mark.parametrize("group", ELSEWHERE)
def test_what_is_for_other_groups_is_read_where_the_inventory_has_one(installed: Path, group: str) -> None:
    plays = [play["name"] for play in playbooks(ROOT)["site"] if "hosts" in play]
    assert len(re.findall(r"^  play #", listed(installed, "site", ["app", group]), re.MULTILINE)) == len(set(plays))


def test_what_is_for_other_groups_is_not_read_where_there_is_none(installed: Path) -> None:
    assert len(re.findall(r"^  play #", listed(installed, "site", ["app", "europe"]), re.MULTILINE)) == 2


def test_contents_problems_sees_what_is_too_much() -> None:
    assert contents_problems(published() | {"inventory/group_vars/app/vault.yml"}) == [
        "has inventory/group_vars/app/vault.yml"
    ]


def test_contents_problems_sees_what_is_missing() -> None:
    assert contents_problems(published() - {"plugins/module_utils/_service/secret_values.py"}) == [
        "lacks plugins/module_utils/_service/secret_values.py"
    ]
