# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What restic says, by the words of Debian 12's and Debian 13's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import PLAIN, Program
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup import restic as room
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.archive import is_whole
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restic import (
    Restic,
    ResticError,
    Snapshot,
    parse,
    sentence,
)

RESTIC = Restic("/cache", (), {"RESTIC_REPOSITORY": "/backup"})


def test_backups_come_by_their_time() -> None:
    said = [
        {"short_id": "32ec5651", "time": "2026-11-29T20:41:08.801993332Z"},
        {"short_id": "0badcafe", "time": "2026-11-29T21:41:07+01:00"},
    ]
    found = [("0badcafe", 1795984867.0), ("32ec5651", 1795984868.801993)]
    assert parse(json.dumps(said), RESTIC) == [Snapshot(label, begun, RESTIC) for label, begun in found]
    assert parse("[]", RESTIC) == []


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of restic."""
    path = tmp_path / "restic"
    monkeypatch.setattr(room, "PROGRAM", str(path))

    def put(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    return put


MADE = """echo '{"snapshot_id": "32ec5651"}'"""


@pytest.mark.parametrize(
    ("script", "source", "said"),
    [
        (f"cat >/dev/null; {MADE}", "echo some; kill -PIPE $$", "/bin/sh could not read the files: it was killed."),
        ("echo Fatal: no space left >&2; exit 1", "exec yes", "`restic backup` failed: no space left."),
        (f"head -c 9 >/dev/null; {MADE}", "exec yes", "`restic backup` failed: exit status 0."),
    ],
    ids=["a signal that somebody has sent", "restic ended first", "and without an error"],
)
def test_of_what_was_cut_off_no_backup_is_made(
    program: Callable[[str], None], script: str, source: str, said: str
) -> None:
    program(script)
    with pytest.raises(ResticError) as raised:
        RESTIC.store(Program(["/bin/sh", "-c", source], PLAIN), is_whole, "app1")
    assert str(raised.value) == said


def test_of_all_that_was_written_it_is(program: Callable[[str], None]) -> None:
    program(f"cat >/dev/null; {MADE}")
    label, written = RESTIC.store(Program(["/bin/sh", "-c", "echo some; exit 1"], PLAIN), is_whole, "app1")
    assert (label, written.status) == ("32ec5651", 1)


# As restic 0.18 does.
INIT = """
ls -A "$RESTIC_REPOSITORY/keys" 2>/dev/null | grep -q . || exit 0
echo "Fatal: create key in repository at $RESTIC_REPOSITORY failed: repository already contains keys" >&2
exit 1
"""


@pytest.mark.parametrize("left", ["keys/1f-tmp-7", "config-tmp-7", "index/", "data/1f/"])
def test_what_is_left_of_a_creation_that_was_cut_off_is_in_nobody_s_way(
    program: Callable[[str], None], tmp_path: Path, left: str
) -> None:
    program(INIT)
    place = repository(tmp_path, left)
    Restic("/cache", (), {"RESTIC_REPOSITORY": str(place)}).create()
    assert not (place / "keys").exists()


@pytest.mark.parametrize("kept", ["config", "snapshots/1f", "index/1f", "data/1f/1f2e", "other"])
def test_keys_of_a_repository_that_holds_anything_stay(
    program: Callable[[str], None], tmp_path: Path, kept: str
) -> None:
    program(INIT)
    place = repository(tmp_path, kept)
    with pytest.raises(ResticError, match=r"already contains keys\. It has no config: .* Move the repository"):
        Restic("/cache", (), {"RESTIC_REPOSITORY": str(place)}).create()
    assert (place / "keys" / "9e45f061").exists()
    assert (place / kept).exists()


def test_a_repository_elsewhere_is_left_alone(
    program: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(INIT)
    place = repository(tmp_path, "locks/")
    monkeypatch.chdir(place.parent)
    with pytest.raises(ResticError, match="It has no config"):
        Restic("/cache", (), {"RESTIC_REPOSITORY": place.name}).create()
    assert (place / "keys" / "9e45f061").exists()


def test_where_there_is_nothing_one_is_created(program: Callable[[str], None], tmp_path: Path) -> None:
    program(INIT)
    Restic("/cache", (), {"RESTIC_REPOSITORY": str(tmp_path / "none")}).create()


def repository(parent: Path, name: str) -> Path:
    """With a key, and a file of that name, or a directory."""
    place = parent / "repository"
    for each in ("keys/9e45f061", name):
        path = place / each
        path.parent.mkdir(parents=True, exist_ok=True)
        if each.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    return place


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}x", '[{"short_id": "32ec5651"}]', '[{"short_id": 1, "time": "now"}]']
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ResticError, match="not understood"):
        parse(text, RESTIC)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Fatal: unable to open config file\n", "unable to open config file."),
        ('{"message_type":"exit_error","code":1,"message":"Fatal: no route to host"}\n', "no route to host."),
        (
            "Fatal: wrong password or no key found",
            "what is in the repository can't be read: its passphrase is another one.",
        ),
        (
            "Fatal: unable to open config file: 401\nIs there a repository at the following location?\nrest:x\n",
            "unable to open config file: 401.",
        ),
        ("", ""),
        ("x" * 700, "x" * 600 + "."),
    ],
)
def test_an_error_is_one_sentence(said: str, shown: str) -> None:
    assert sentence(said) == shown
