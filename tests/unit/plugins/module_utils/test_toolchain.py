# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._toolchain import (
    Install,
    Toolchain,
    ToolchainError,
    Wanted,
    require_new_enough,
)

WANTED = Wanted("npm", "26.10.0", "12.2.0", "12.4.2", "7.0.4")
INSTALL = Install(registry="", ca_file="", archive="", timeout=20)


def installed(toolchain: Toolchain, wanted: Wanted) -> Path:
    """A whole toolchain on disk, with programs that say the right version, as the active one."""
    root = toolchain.versions / wanted.identifier
    (root / "bin").mkdir(parents=True)
    for tool in ("node", "npm", "npx", "pnpm", "pm2"):
        (root / "bin" / tool).touch(0o755)
    for name, version in wanted.packages().items():
        (root / "node_modules" / name).mkdir(parents=True)
        (root / "node_modules" / name / "package.json").write_text(json.dumps({"version": version}))
    toolchain.bin.unlink(missing_ok=True)
    toolchain.bin.symlink_to(f"versions/{wanted.identifier}/bin")
    return root


def test_a_whole_toolchain_is_current(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    assert not toolchain.current(WANTED)
    installed(toolchain, WANTED)
    assert toolchain.active() == WANTED.identifier
    assert toolchain.current(WANTED)


@pytest.mark.parametrize("damage", ["bin/pm2", "node_modules/pnpm/package.json"])
def test_a_damaged_toolchain_is_not(tmp_path: Path, damage: str) -> None:
    toolchain = Toolchain(tmp_path)
    (installed(toolchain, WANTED) / damage).unlink()
    assert not toolchain.current(WANTED)
    assert len(toolchain.defects(WANTED)) == 1


def test_each_version_makes_another_toolchain() -> None:
    others = [
        Wanted("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4"),
        Wanted("npm", "26.10.0", "12.2.1", "12.4.2", "7.0.4"),
        Wanted("npm", "26.10.0", "12.2.0", "12.4.3", "7.0.4"),
        Wanted("npm", "26.10.0", "12.2.0", "12.4.2", "7.0.5"),
        Wanted("debian", "", "12.2.0", "12.4.2", "7.0.4"),
    ]
    assert len({WANTED.identifier, *(other.identifier for other in others)}) == 6


def test_a_failed_install_leaves_the_old_toolchain(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    root = installed(toolchain, WANTED)
    (root / "bin/npm").write_text("#!/bin/sh\necho no such version; exit 1\n")
    newer = Wanted("npm", "26.10.0", "12.2.0", "12.4.2", "9.9.9")
    with pytest.raises(ToolchainError, match="no such version"):
        toolchain.make(newer, INSTALL)
    assert toolchain.current(WANTED)
    assert sorted(path.name for path in toolchain.versions.iterdir()) == [".lock", WANTED.identifier]


def test_the_previous_toolchain_and_one_that_runs_are_kept(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    for name, program in (("unused", None), ("running", "/bin/sleep")):
        (toolchain.versions / name).mkdir(parents=True)
        if program:
            shutil.copy(program, toolchain.versions / name / "program")
    older = Wanted("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4")
    installed(toolchain, WANTED)
    installed(toolchain, older)
    with subprocess.Popen([toolchain.versions / "running/program", "60"]) as process:
        toolchain.make(WANTED, INSTALL)
        process.kill()
    kept = {path.name for path in toolchain.versions.iterdir()}
    assert {"running", WANTED.identifier, older.identifier} <= kept
    assert toolchain.active() == WANTED.identifier


def test_a_directory_in_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    installed(toolchain, WANTED)
    toolchain.bin.unlink()
    (toolchain.bin / "mine").mkdir(parents=True)
    with pytest.raises(ToolchainError, match="is not a link"):
        toolchain.make(WANTED, INSTALL)
    assert (toolchain.bin / "mine").is_dir()


def test_an_unknown_machine_is_told_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ToolchainError, match="riscv64; use nodejs_source archive"):
        WANTED.packages()


@pytest.mark.parametrize("version", ["18.20.4", "20.5.9", "8.0.0"])
def test_a_node_without_env_file_is_refused(version: str) -> None:
    with pytest.raises(ToolchainError, match=r"20\.6 or newer"):
        require_new_enough(version, "Debian's package nodejs")


@pytest.mark.parametrize("version", ["20.6.0", "20.19.2", "26.10.0"])
def test_a_newer_one_is_accepted(version: str) -> None:
    require_new_enough(version, "Debian's package nodejs")
