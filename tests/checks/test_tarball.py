# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: a tarball, installed in an empty place, run by its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from house import COLLECTION, ROOT, playbooks

# What belongs to a checkout: tests, the reference service, local hosts and whatever tools leave behind.
CHECKOUT_ONLY = re.compile(
    r"^(tests|molecule|inventories|examples|benchmarks|tools|\.[^/]+)(/|$)"
    r"|(^|/)(__pycache__|node_modules|\.[\w-]*cache|\.venv|venv|\.git|\.ansible)(/|$)"
    r"|\.(pyc|tar\.gz|log|retry|swp)$|(^|/)(Makefile|ansible\.cfg|conftest\.py|pyproject\.toml|requirements[\w.-]*)$"
)
NEEDED = ("README.md", "LICENSE", "CHANGELOG.md", "meta/runtime.yml", "playbooks/site.yml")


def bin_path(name: str) -> Path:
    """A command of the Python environment that runs the tests."""
    return Path(sys.executable).with_name(name)


def contents_problems(names: list[str]) -> list[str]:
    """What a tarball has that it should not (whole folders are named once), and what it lacks."""
    found = {name[: match.end()] for name in names if (match := CHECKOUT_ONLY.search(name))}
    return [f"has {name}" for name in sorted(found)] + [f"lacks {name}" for name in NEEDED if name not in names]


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    subprocess.run(
        [bin_path("ansible-galaxy"), "collection", "build", "--output-path", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.tar.gz")
    return built


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


def test_tarball_has_only_what_users_need(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        problems = contents_problems([member.name for member in archive.getmembers() if member.isfile()])
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("name", sorted(playbooks(ROOT)))
def test_playbook_runs_by_its_collection_name(installed: Path, name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    # Only this place and the packaged collections beside ansible itself: the checkout must not answer.
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(installed)
    run = subprocess.run(
        [bin_path("ansible-playbook"), "--list-tasks", "-vv", "-i", "localhost,", f"{COLLECTION}.{name}"],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{installed}/ansible_collections/" in run.stdout
    assert f"{COLLECTION}.service : " in run.stdout


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("tests/unit/test_a.py", "tests/"),
        ("molecule/site/converge.yml", "molecule/"),
        ("inventories/local/group_vars/app.yml", "inventories/"),
        ("examples/workbot/src/server.ts", "examples/"),
        ("plugins/node_modules/pg/index.js", "plugins/node_modules/"),
        ("plugins/modules/__pycache__/a.cpython-313.pyc", "plugins/modules/__pycache__/"),
        (".venv/bin/python", ".venv/"),
        ("plugins/.ruff_cache/a", "plugins/.ruff_cache/"),
        ("workbot-stability-0.1.0.tar.gz", "workbot-stability-0.1.0.tar.gz"),
    ],
)
def test_contents_problems_sees(name: str, part: str) -> None:
    assert contents_problems([*NEEDED, name]) == [f"has {part}"]


def test_contents_problems_misses_what_is_needed() -> None:
    assert contents_problems(list(NEEDED[1:])) == ["lacks README.md"]
