# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.rules import expectation
from places import ROOT

ROLE = ROOT / "roles/release"
RULES = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))["__release_rules"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://host.example/team/app.git",
        "https://host.example:8443/app.git",
        "ssh://git@host.example:2222/app.git",
        "ssh://host.example/app.git",
        "git@host.example:team/app.git",
        "host-alias:app.git",
        "/srv/git/app.git",
        "file:///srv/git/app.git",
    ],
)
def test_an_address_of_a_repository(address: str) -> None:
    assert expectation(address, RULES["release_git_url"]) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://me:secret@host.example/app.git",
        "https://token@host.example/app.git",
        "ssh://git:secret@host.example/app.git",
        "git:secret@host.example:app.git",
        "http://host.example/app.git",
        "git://host.example/app.git",
        "ext::sh",
        "--upload-pack=touch /x",
        "-x:y",
        "app.git",
        "https://host.example/a b.git",
    ],
)
def test_no_address_of_a_repository(address: str) -> None:
    assert expectation(address, RULES["release_git_url"])


@pytest.mark.parametrize(
    ("ref", "good"),
    [
        ("HEAD", True),
        ("main", True),
        ("feature/x-1", True),
        ("refs/tags/v1.0.0", True),
        ("v1.0.0+build", True),
        ("@scope/app@1.0.0", True),
        ("", False),
        ("--exec=x", False),
        ("a b", False),
        ("main^{}", False),
        ("main:x", False),
    ],
)
def test_a_ref(ref: str, good: bool) -> None:
    assert (expectation(ref, RULES["release_git_ref"]) is None) == good
