# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release's source has in it: its program, its package manager, files where a shared directory is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from releases import PLACE, application, place_of, refused, release
from testinfra.host import Host


@pytest.fixture(scope="module", autouse=True)
def place(host: Host) -> Iterator[None]:
    with place_of(host):
        yield


def test_a_build_that_memory_has_ended_is_told_with_what_to_do(tmp_path: Path) -> None:
    message = refused(directory=str(application(tmp_path)), before_build=[["sh", "-c", "kill -9 $$"]])
    assert "before_build: sh -c kill -9 $$ was killed (by the kernel when the host runs out of memory)" in message
    assert re.search(r"The host has [0-9]+ MB of memory: give it more, or swap, or keep the build below it", message)
    assert "release_build_timeout (900 s), was not reached." in message


def test_a_wrong_program_is_told_before_the_build(host: Host, tmp_path: Path) -> None:
    source = application(tmp_path)
    (source / "index.js").write_text("", encoding="utf-8")
    message = refused(directory=str(source), program="server.js", shared_directories=["data"])
    assert "The release has no program server.js (pm2_script), and no build makes it" in message
    assert "there are index.js" in message
    assert not host.file(f"{PLACE}/shared/data").exists
    assert release(directory=str(source), program="index.js")["made"]


def test_the_first_release_fills_a_shared_directory_and_no_later_one_replaces_it(host: Host, tmp_path: Path) -> None:
    source = application(tmp_path)
    (source / "data").mkdir()
    (source / "data/db.json").write_text("first", encoding="utf-8")
    options = {"directory": str(source), "shared_directories": ["data"]}
    try:
        assert release(**options)["told"] == []
        kept = host.file(f"{PLACE}/shared/data/db.json")
        assert (kept.content_string, kept.user) == ("first", "workbot")
        (source / "data/db.json").write_text("second", encoding="utf-8")
        made = release(**options)
        assert made["made"]
        (told,) = made["told"]
        assert "the host's are used: data/db.json. Put them into " in told
        assert host.file(f"{made['release_path']}/data/db.json").content_string == "first"
        assert release(**options)["told"] == []
    finally:
        host.check_output(f"rm -rf {PLACE}/shared/data")


def test_another_version_of_pnpm_is_named_with_its_variable(tmp_path: Path) -> None:
    source = application(tmp_path, packageManager="pnpm@10.4.1")
    (source / "package-lock.json").unlink()
    (source / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n", encoding="utf-8")
    message = refused(directory=str(source))
    assert "package.json asks for pnpm 10.4.1 (packageManager), and the host has pnpm " in message
    assert ": set nodejs_pnpm_version to 10.4.1." in message
