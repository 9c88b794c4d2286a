# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.archive import unpack
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._release.source import (
    address_digest,
    archive_digest,
    entries,
    identify,
    pack,
    tree_digest,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "src").mkdir(parents=True)
    (root / "package.json").write_text("{}")
    (root / "src/main.ts").write_text("export {};\n")
    (root / "src/latest").symlink_to("main.ts")
    (root / "start.sh").write_text("#!/bin/sh\n")
    (root / "start.sh").chmod(0o755)
    return root


def digest(root: Path, *exclude: str) -> str:
    return tree_digest(entries(root, exclude))


def test_times_and_owners_do_not_count(source: Path) -> None:
    before = digest(source)
    os.utime(source / "package.json", (1, 1))
    (source / "package.json").chmod(0o600)
    assert digest(source) == before


@pytest.mark.parametrize("change", ["content", "name", "executable", "link"])
def test_everything_else_counts(source: Path, change: str) -> None:
    before = digest(source)
    if change == "content":
        (source / "package.json").write_text("[]")
    elif change == "name":
        (source / "package.json").rename(source / "packages.json")
    elif change == "executable":
        (source / "package.json").chmod(0o755)
    else:
        (source / "src/latest").unlink()
        (source / "src/latest").symlink_to("../package.json")
    assert digest(source) != before


@pytest.mark.parametrize("pattern", ["*.log", "logs/*", "logs", "logs/a.log"])
def test_excluded_files_do_not_count(source: Path, pattern: str) -> None:
    before = digest(source)
    (source / "logs").mkdir()
    (source / "logs/a.log").write_text("x")
    assert digest(source, pattern) == before
    assert digest(source) != before


def test_a_link_out_of_the_source_is_refused(source: Path) -> None:
    (source / "src/out").symlink_to("../../elsewhere")
    with pytest.raises(StabilityError, match="outside of the release"):
        entries(source, [])


def test_a_source_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="no directory"):
        entries(tmp_path / "none", [])
    with pytest.raises(StabilityError, match="holds no file"):
        entries(tmp_path, [])


def test_packing_and_unpacking_keeps_the_digest(source: Path, tmp_path: Path) -> None:
    found = entries(source, [])
    pack(found, tmp_path / "a.tgz", tree_digest(found))
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.tgz", tmp_path / "out")
    assert digest(tmp_path / "out") == digest(source)


def test_a_source_that_changes_meanwhile_is_refused(source: Path, tmp_path: Path) -> None:
    found = entries(source, [])
    before = tree_digest(found)
    (source / "package.json").write_text("[]")
    with pytest.raises(StabilityError, match="changed while"):
        pack(found, tmp_path / "a.tgz", before)


def test_build_settings_make_another_release() -> None:
    one, other = identify("c", {"build": True}, ""), identify("c", {"build": False}, "")
    assert len(one.identifier) == 12
    assert one.identifier != other.identifier
    assert identify("c", {"build": True}, "1.2.3").identifier == "1.2.3"
    assert identify("c", {"build": True}, "1.2.3").digest == one.digest


def test_an_address_needs_a_checksum() -> None:
    with pytest.raises(StabilityError, match="release_checksum"):
        address_digest("https://example.org/a.tgz", "")
    assert address_digest("https://example.org/a.tgz", "sha256:" + "AB" * 32) == "ab" * 32


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w"):
        pass
    assert archive_digest(path, f"sha256:{archive_digest(path, '')}") == archive_digest(path, "")
    with pytest.raises(StabilityError, match="no file"):
        archive_digest(tmp_path / "none", "")
