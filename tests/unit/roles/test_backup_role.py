# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of backups on a host of the group backup; no host is reached."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from variable_hosts import FACTS, GOOD

from playbooks import run_playbook

PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "pre_tasks": [
            FACTS,
            {"workbot.stability.validate_variables": {}, "register": "checked", "ignore_errors": True},
            {
                "ansible.builtin.copy": {
                    "content": "{{ checked.msg }}",
                    "dest": "{{ playbook_dir }}/{{ inventory_hostname }}.text",
                    "mode": "0600",
                },
                "delegate_to": "localhost",
            },
            {"ansible.builtin.meta": "end_play"},
        ],
        "roles": [f"workbot.stability.{role}" for role in ("service", "postgresql", "backup")],
    }
]
KEPT = {"backup_directory": "/backup", "backup_passphrase": "s3cr3t-0f-the-b4ckups"}


def said(directory: Path, apps: dict[str, dict[str, Any]], **store: Any) -> dict[str, str]:
    """What is said of each host: app hosts with servers of their own, and the one that keeps their backups."""
    hosts = {
        name: {"ansible_host": f"192.0.2.{number}", **GOOD, **KEPT, **variables}
        for number, (name, variables) in enumerate({"store": store, **apps}.items())
    }
    inventory = {"backup": {"hosts": {"store": hosts.pop("store")}}, "app": {"hosts": hosts}}
    (directory / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    (directory / "play.json").write_text(json.dumps(PLAYBOOK), encoding="utf-8")
    _code, output = run_playbook(str(directory / "play.json"), directory / "hosts.json")
    texts = {file.stem: file.read_text(encoding="utf-8") for file in directory.glob("*.text")}
    assert texts.keys() == {"store", *apps}, output
    return texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    bucket = {"bucket": "backups", "endpoint": "s3.test", "key": "a-key", "secret": "the-secret-of-it"}
    apps = {
        "shop1": {},
        "nowhere": {"backup_directory": ""},
        "open": {"backup_passphrase": ""},
        "shop 2": {},
        "bucket": {"backup_directory": "", **{f"backup_s3_{name}": value for name, value in bucket.items()}},
    }
    return said(tmp_path_factory.mktemp("play"), apps)


@pytest.mark.parametrize("host", ["shop1", "store"])
def test_servers_of_app_hosts_have_one_repository_host(texts: dict[str, str], host: str) -> None:
    assert "wrong" not in texts[host]


@pytest.mark.parametrize(
    ("host", "variable", "problem"),
    [
        ("nowhere", "backup_directory", "must be given: the directory of store (group backup)"),
        ("open", "backup_passphrase", "must be given, since the backups leave the host (group backup)"),
        ("shop 2", "backup_directory", "is on a host of the group backup, which knows this one by its name"),
        ("bucket", "backup_s3_bucket", "is one place and the group backup another"),
    ],
)
def test_each_condition_is_named(texts: dict[str, str], host: str, variable: str, problem: str) -> None:
    assert re.search(rf"^{variable} .*{re.escape(problem)}", texts[host], re.MULTILINE)


NO_SERVER = {"service_database_enabled": False, "service_database_password": ""}


def test_a_repository_host_that_has_nothing_to_keep_is_refused(tmp_path: Path) -> None:
    assert re.search(
        "^backup_directory .* is for backups of servers", said(tmp_path, {"shop1": NO_SERVER})["store"], re.MULTILINE
    )


def test_a_repository_host_may_keep_files_alone(tmp_path: Path) -> None:
    assert "wrong" not in said(tmp_path, {"shop1": {**NO_SERVER, "release_shared_directories": ["uploads"]}})["store"]


def test_pgbackrest_and_files_have_a_port_each(tmp_path: Path) -> None:
    text = said(tmp_path, {"shop1": {}}, backup_files_port=8432)["store"]
    assert re.search("^backup_files_port .* is that of pgBackRest as well", text, re.MULTILINE)
