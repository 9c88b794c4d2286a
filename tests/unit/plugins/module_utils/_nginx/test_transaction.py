# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an nginx configuration: comparing, swapping, undoing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Change, Entry
from ansible_collections.workbot.stability.plugins.module_utils._nginx.transaction import (
    Transaction,
    checked_path,
    compare,
    read_entry,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def config(tmp_path: Path) -> Path:
    root = tmp_path / "nginx"
    (root / "conf.d").mkdir(parents=True)
    (root / "conf.d/shop.conf").write_text("old\n")
    (root / "conf.d/shop.conf").chmod(0o640)
    (root / "sites-enabled").mkdir()
    (root / "sites-enabled/default").symlink_to("/etc/nginx/sites-available/default")
    return root


@pytest.fixture
def transaction(config: Path, tmp_path: Path) -> Transaction:
    return Transaction(config, tmp_path / "state/journal.json")


def snapshot(root: Path) -> dict[str, Entry | None]:
    paths = [path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()]
    return {str(path.relative_to(root)): read_entry(path) for path in paths}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\0b"])
def test_a_path_outside_is_refused(path: str) -> None:
    with pytest.raises(StabilityError, match="no path below"):
        checked_path(path)


@given(st.text(max_size=40))
def test_an_accepted_path_stays_below_the_root(path: str) -> None:
    root = Path("/etc/nginx")
    try:
        joined = root / checked_path(path)
    except StabilityError:
        return
    assert joined.parts[:3] == root.parts
    assert ".." not in joined.parts


def test_equal_files_are_no_change(config: Path) -> None:
    assert compare(config, {"conf.d/shop.conf": Entry(b"old\n", 0o640)}, ["conf.d/gone.conf"]) == []


@pytest.mark.parametrize(
    ("desired", "absent"),
    [
        ({"conf.d/shop.conf": Entry(b"new\n", 0o640)}, []),
        ({"conf.d/shop.conf": Entry(b"old\n", 0o644)}, []),
        ({"sites-enabled/default": Entry(b"")}, []),
        ({}, ["sites-enabled/default"]),
        ({"snippets/deep/new.conf": Entry(b"")}, []),
    ],
)
def test_content_mode_kind_and_presence_are_changes(config: Path, desired: dict[str, Entry], absent: list[str]) -> None:
    assert len(compare(config, desired, absent)) == 1


def test_desired_and_absent_at_once_is_refused(config: Path) -> None:
    with pytest.raises(StabilityError, match="both wanted"):
        compare(config, {"a": Entry()}, ["a"])


def test_a_directory_in_the_way_is_left_alone(config: Path) -> None:
    with pytest.raises(StabilityError, match="neither a file"):
        compare(config, {"conf.d": Entry()}, [])


def test_swap_and_commit(config: Path, transaction: Transaction) -> None:
    desired = {"conf.d/shop.conf": Entry(b"new\n"), "snippets/deep/x.conf": Entry(b"x", 0o600)}
    transaction.swap(compare(config, desired, ["sites-enabled/default"]))
    assert transaction.pending()
    transaction.commit()
    assert not transaction.pending()
    assert snapshot(config) == desired


def test_restoring_brings_back_content_mode_links_and_directories(config: Path, transaction: Transaction) -> None:
    before = snapshot(config)
    desired = {"conf.d/shop.conf": Entry(b"\xff\x00", 0o600), "snippets/deep/x.conf": Entry(b"x")}
    transaction.swap(compare(config, desired, ["sites-enabled/default"]))
    transaction.restore()
    assert snapshot(config) == before
    assert not (config / "snippets").exists()
    assert transaction.pending()  # until nginx runs with it


def test_a_swap_that_fails_in_the_middle_is_undone_by_the_next_run(config: Path, transaction: Transaction) -> None:
    before = snapshot(config)
    changes = compare(config, {"conf.d/shop.conf": Entry(b"new"), "conf.d/two.conf": Entry(b"two")}, [])
    # A directory where the second file goes: the rename fails after the first file is in place.
    (config / "conf.d/two.conf").mkdir()
    with pytest.raises(StabilityError, match=r"two\.conf"):
        transaction.swap(changes)
    (config / "conf.d/two.conf").rmdir()
    assert snapshot(config) != before
    later = Transaction(config, transaction.journal)
    assert later.pending()
    later.restore()
    assert snapshot(config) == before


def test_one_that_can_not_be_put_back_keeps_no_other_from_it(config: Path, transaction: Transaction) -> None:
    before = snapshot(config)
    transaction.swap(compare(config, {"conf.d/shop.conf": Entry(b"new"), "conf.d/two.conf": Entry(b"two")}, []))
    (config / "conf.d/.shop.conf.nginx_site").mkdir()
    with pytest.raises(StabilityError, match=r"^Cannot put .*/shop\.conf back as it was: "):
        transaction.restore()
    assert not (config / "conf.d/two.conf").exists()
    (config / "conf.d/.shop.conf.nginx_site").rmdir()
    transaction.restore()
    assert snapshot(config) == before


def test_what_cannot_be_written_stops_the_swap_before_the_first_file_changes(
    config: Path, transaction: Transaction
) -> None:
    before = snapshot(config)
    changes = compare(config, {"conf.d/shop.conf": Entry(b"new"), "conf.d/two.conf": Entry(b"two")}, [])
    # A directory where the second file is written before it is renamed.
    (config / "conf.d/.two.conf.nginx_site").mkdir()
    with pytest.raises(StabilityError, match=r"Cannot write .*/conf\.d/two\.conf"):
        transaction.swap(changes)
    assert read_entry(config / "conf.d/shop.conf") == before["conf.d/shop.conf"]
    (config / "conf.d/.two.conf.nginx_site").rmdir()
    transaction.restore()
    assert snapshot(config) == before


def test_a_file_outside_belongs_to_the_change(transaction: Transaction) -> None:
    record = transaction.journal.parent / "shop.json"
    transaction.swap([Change(str(record), None, Entry(b"{}", 0o600))])
    assert read_entry(record) == Entry(b"{}", 0o600)
    transaction.restore()
    assert not record.exists()


def test_the_journal_is_for_its_owner_alone(config: Path, transaction: Transaction) -> None:
    transaction.swap(compare(config, {"conf.d/shop.conf": Entry(b"new")}, []))
    assert transaction.journal.stat().st_mode & 0o777 == 0o600
    assert transaction.journal.parent.stat().st_mode & 0o777 == 0o700


def test_no_temporary_file_is_left(config: Path, transaction: Transaction) -> None:
    (config / "conf.d/.shop.conf.nginx_site").write_text("of a killed run")
    transaction.make(compare(config, {"conf.d/shop.conf": Entry(b"new")}, []))
    assert [path.name for path in (config / "conf.d").iterdir()] == ["shop.conf"]


def test_the_diff_names_file_mode_and_absence() -> None:
    diff = Change("conf.d/shop.conf", None, Entry(b"a\n", 0o600)).diff(Path("/etc/nginx"))
    assert diff == {
        "before_header": "/etc/nginx/conf.d/shop.conf (absent)",
        "after_header": "/etc/nginx/conf.d/shop.conf",
        "before": "",
        "after": "0600\na\n",
    }
