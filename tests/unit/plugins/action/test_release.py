# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.action.release import ActionModule, _Source
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


def source(**options: Any) -> _Source:
    return _Source(options, str)


@pytest.fixture
def application(tmp_path: Path) -> Path:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/a.js").write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "set: none"),
        ({"directory": "", "archive": "", "git_url": ""}, "set: none"),
        ({"directory": "/a", "archive": "/b"}, "set: release_directory and release_archive"),
        ({"archive": "/b", "git_url": "/c"}, "set: release_archive and release_git_url"),
        ({"directory": "/a", "checksum": "sha256:0"}, "another source has none"),
        ({"git_url": "/a", "checksum": "sha256:0"}, "another source has none"),
    ],
)
def test_exactly_one_source_is_needed(options: dict[str, str], words: str) -> None:
    with pytest.raises(StabilityError, match=words):
        source(**options)


def test_node_modules_count_only_for_a_prebuilt_source(application: Path) -> None:
    directory = str(application)
    built, prebuilt = source(directory=directory), source(directory=directory, build="no")
    before = (built.identified(), prebuilt.identified())
    (application / "node_modules/a.js").write_text("2")
    assert built.identified() == before[0]
    assert prebuilt.identified() != before[1]


def test_defaults_and_spellings_of_options_make_no_other_release(application: Path) -> None:
    directory = str(application)
    plain = source(directory=directory).identified()
    spelled = {"build": "true", "build_script": "build", "build_environment": {}, "writable": "false", "keep": 9}
    assert source(directory=directory, **spelled).identified() == plain
    assert source(directory=directory, build_environment={"A": 1}).identified() != plain
    assert source(directory=directory, before_build=[["make"]]).identified() != plain


def test_an_address_is_not_sent(application: Path) -> None:
    found = source(archive="https://example.org/a.tgz", checksum="sha256:" + "ab" * 32)
    assert found.address == "https://example.org/a.tgz"
    assert source(archive=str(application / "package.json")).address == ""


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ({"archive": "https://me:t0ken@h.example/a.tgz?key=t0ken"}, "release_archive https://***@h.example/a.tgz?***"),
        ({"archive": "/a.tgz"}, "release_archive /a.tgz"),
        ({"directory": "/a"}, "release_directory /a"),
        ({"git_url": "https://h.example/a.git"}, "release_git_url https://h.example/a.git"),
    ],
)
def test_messages_say_where_the_release_is_from_without_a_secret(options: dict[str, str], origin: str) -> None:
    assert source(**options).origin == origin


@pytest.mark.parametrize(
    ("address", "secret"),
    [("https://me:t0ken@h.example/a.tgz?key=t0ken", True), ("https://h.example/a.tgz", False)],
)
def test_what_is_secret_of_an_address_is_sent_in_the_option_that_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, address: str, secret: bool
) -> None:
    sent: dict[str, Any] = {}
    action = ActionModule.__new__(ActionModule)
    action.variables = {}
    action._task = SimpleNamespace(args={"archive": address, "checksum": "sha256:" + "ab" * 32})
    monkeypatch.setattr(action, "module", lambda arguments: sent.update(arguments) or {})
    action.outcome()
    assert sent["source"].pop("address") == (address if secret else "")
    assert sent["source"]["archive"].endswith("h.example/a.tgz" + "?***" * secret)
    assert "t0ken" not in str(sent)


def test_a_commit_is_the_content_and_needs_no_question() -> None:
    commit = "0123456789" * 4
    found = source(git_url="ssh://git@nowhere.invalid/a.git", git_ref=commit)
    other = source(git_url="https://elsewhere.invalid/b.git", git_ref=commit)
    assert found.identified() == other.identified()
    assert found.commit == commit
    assert found.address == ""
