# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository host keeps of the services' files of other hosts, and whom it lets in."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.repository import main, old_ones

DAY = 24 * 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("restic", "clients"):
        (tmp_path / name).mkdir()
    return tmp_path


def add(root: Path, name: str, **came: float) -> Path:
    """A client, with repositories to which the last file came so many days ago."""
    (root / "clients" / f"{name}.json").write_text(json.dumps({"access": "secretpw", "files_days": 28}))
    for turn, days in came.items():
        place = root / "restic" / name / turn / "snapshots"
        place.mkdir(parents=True)
        for file, ago in ((place / "first", 99), (place / "last", days)):
            file.touch()
            moment = time.time() - ago * DAY
            os.utime(file, (moment, moment))
    return root / "restic" / name


def run(root: Path, *arguments: str) -> int:
    return main(str(root / "restic"), str(root / "clients"), arguments)


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_repository_goes_when_nothing_has_come_for_as_long(root: Path) -> None:
    places = [add(root, "shop.app1", a=29, b=27, c=0), add(root, "shop.app2", a=27, b=0)]
    assert run(root, "discard") == 0
    assert [left(place) for place in places] == [["b", "c"], ["a", "b"]]


def test_the_last_one_stays_however_old(root: Path) -> None:
    place = add(root, "shop.app1", a=50, b=40)
    add(root, "shop.app2")
    assert run(root, "discard") == 0
    assert left(place) == ["b"]


def test_the_last_one_that_holds_a_backup_stays(root: Path) -> None:
    """What comes to a later one may never become a whole backup."""
    place = add(root, "shop.app1", a=50, b=40, c=0)
    (place / "c" / "snapshots").rename(place / "c" / "data")
    assert run(root, "discard") == 0
    assert left(place) == ["b", "c"]


def test_what_is_taken_away_and_linked_makes_nothing_older_or_newer(root: Path) -> None:
    """An app host may remove locks; a link nobody but this host could have made."""
    place = add(root, "shop.app1", a=29, b=0)
    (place / "a" / "locks").mkdir()
    (place / "c").symlink_to("/etc")
    assert old_ones(place, time.time() - 28 * DAY) == [place / "a"]


def test_where_one_fails_the_others_are_done(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [add(root, f"shop.app{number}", a=29, b=0) for number in (1, 2)]
    (root / "clients" / "shop.app1.json").write_text("{")
    assert run(root, "discard") == 1
    assert "shop.app1.json is damaged" in capsys.readouterr().err
    assert [left(place) for place in places] == [["a", "b"], ["b"]]


def test_clients_are_let_in_by_a_hash_in_a_file_of_its_own_user(root: Path) -> None:
    add(root, "shop.app1")
    file = root / "htpasswd"
    assert run(root, "access", str(file)) == 0
    # base64 of the SHA-1 of it, as `htpasswd -s` writes that
    assert file.read_text() == "shop.app1:{SHA}ZP3rbRcrbmduZRGkzG2Nm6ZUH08=\n"
    assert file.stat().st_mode & 0o777 == 0o600
