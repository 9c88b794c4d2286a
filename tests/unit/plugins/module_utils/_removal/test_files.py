# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes is gone, and what is behind a link or a mount point is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._removal.files import (
    barrier,
    becomes_empty,
    found,
    holds_more,
    inner_mounts,
    mount_points,
    removable,
)

TABLE = """\
22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw
36 22 0:32 / /srv/shop/shared rw shared:9 - tmpfs tmpfs rw
37 22 0:33 / /mnt/with\\040space rw - tmpfs tmpfs rw
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "releases" / "one" / "node_modules").mkdir(parents=True)
    (root / "releases" / "one" / "server.js").write_text("")
    (root / "shared" / "uploads").mkdir(parents=True)
    (root / "shared" / "uploads" / "a.png").write_text("")
    (root / ".deploy.lock").write_text("")
    return root


def test_the_table_of_mounts_is_read_with_its_escapes() -> None:
    assert mount_points(TABLE) == {"/", "/srv/shop/shared", "/mnt/with space"}


def test_all_but_the_way_to_a_mount_point_can_go(tree: Path) -> None:
    mounts = {str(tree / "shared" / "uploads"), "/elsewhere"}
    assert inner_mounts(str(tree), mounts) == [str(tree / "shared" / "uploads")]
    assert list(removable(str(tree), mounts)) == [str(tree / ".deploy.lock"), str(tree / "releases")]
    assert list(removable(str(tree), {str(tree)})) == []
    assert list(removable(str(tree), {f"{tree}-other"})) == [str(tree)]


def test_a_link_leads_to_no_mount_point(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert list(removable(str(link), {str(tree)})) == [str(link)]


def test_what_is_behind_a_link_or_a_mount_point_of_the_service_is_told(tree: Path, tmp_path: Path) -> None:
    assert barrier(f"{tree}/releases/one", str(tree), set()) == ""
    assert barrier(f"{tree}/releases/one", str(tree), {str(tree)}) == str(tree)
    assert barrier(f"{tree}/releases/one", str(tree), {f"{tree}/releases"}) == f"{tree}/releases"
    # the place itself is another question, and so is what is not below the service's directory
    assert barrier(str(tree), str(tree), {str(tree)}) == ""
    assert barrier("/etc/cron.d/shop", str(tree), {"/etc"}) == ""
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert barrier(f"{link}/releases", str(link), set()) == str(link)


def test_patterns_find_the_last_part_alone(tmp_path: Path) -> None:
    for name in ("shop.log", "shop.log.1", "shop2.log", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "dangling").symlink_to("/nowhere")
    assert found(f"{tmp_path}/shop.log*") == [f"{tmp_path}/shop.log", f"{tmp_path}/shop.log.1"]
    assert found(f"{tmp_path}/dangling") == [f"{tmp_path}/dangling"]
    assert found(f"{tmp_path}/missing") == []
    assert f"{tmp_path}/.hidden" in found(f"{tmp_path}/*")


def test_a_directory_is_empty_when_all_of_it_goes(tree: Path) -> None:
    shared = str(tree / "shared")
    assert not becomes_empty(Path(shared), set())
    assert becomes_empty(Path(shared), {f"{shared}/uploads"})
    assert not becomes_empty(Path(shared, "missing"), set())
    assert holds_more(shared, set())
    assert not holds_more(shared, {f"{shared}/uploads"})
    assert not holds_more(f"{shared}/missing", set())
    assert holds_more(f"{tree}/.deploy.lock", set())
