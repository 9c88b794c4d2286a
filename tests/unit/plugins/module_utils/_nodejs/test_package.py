# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With the Node.js and npm of the development environment."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.service_tree import discard_path
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.package import (
    addons,
    node_abi,
    require_engine,
)

NODE_API = b"\x7fELF\0napi_register_module_v1\0"
NODE_API_AND_OLDER = b"\x7fELF\0napi_register_module_v1\0node_register_module_v93\0"
BOUND = b"\x7fELF\0_init\0node_register_module_v115\0"
SERVICE = 12345
PIECE = 1 << 20
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to others")
ME = Identity("me", os.getuid(), os.getgid(), "/nonexistent")


@pytest.fixture(scope="module")
def version(bin_directory: Path) -> str:
    return subprocess.run(
        [bin_directory / "node", "--print", "process.versions.node"], check=True, capture_output=True, text=True
    ).stdout.strip()


def release(directory: Path, manifest: Any) -> Path:
    (directory / "package.json").write_text(json.dumps(manifest))
    return directory


def test_the_abi_is_a_number(bin_directory: Path) -> None:
    assert int(node_abi(bin_directory)) > 100


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"engines": "node"},
        {"engines": {"npm": ">=99"}},
        {"engines": {"node": ">=20 <999"}},
        {"engines": {"node": "*"}},
        {"engines": {"node": "^{version}"}},
        {"engines": {"node": "12.x || >={version}"}},
    ],
)
def test_a_release_for_this_node_is_accepted(manifest: Any, version: str, bin_directory: Path, tmp_path: Path) -> None:
    text = json.dumps(manifest).replace("{version}", version)
    require_engine(release(tmp_path, json.loads(text)), bin_directory, ME)


def test_a_release_without_a_package_json_is_accepted(bin_directory: Path, tmp_path: Path) -> None:
    require_engine(tmp_path, bin_directory, ME)


@pytest.mark.parametrize("wanted", [">=999", "<{version}", "12.x || 14.x"])
def test_a_release_for_another_node_is_refused(wanted: str, version: str, bin_directory: Path, tmp_path: Path) -> None:
    wanted = wanted.replace("{version}", version)
    with pytest.raises(StabilityError) as caught:
        require_engine(release(tmp_path, {"engines": {"node": wanted}}), bin_directory, ME)
    message = str(caught.value)
    assert message.startswith(f"The release needs Node.js {wanted} (engines.node of package.json), but ")
    assert f"{bin_directory}/node is {version}: set nodejs_version" in message


def test_a_range_that_is_none_is_named(bin_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="'the newest', is no range of versions"):
        require_engine(release(tmp_path, {"engines": {"node": "the newest"}}), bin_directory, ME)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "no valid JSON"), ("[]", "no JSON object"), ("\x80", "no valid"), ("[" * 100_000, "no valid JSON")],
)
def test_a_broken_package_json_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StabilityError, match=words):
        require_engine(tmp_path, Path("/nonexistent"), ME)


def test_addons_of_other_systems_and_of_any_abi_are_no_matter(tmp_path: Path) -> None:
    silent = b"\x7fELF\0node_module_register\0"
    darwin = b"\xcf\xfa\xed\xfe"
    contents = {"a": NODE_API, "b": NODE_API_AND_OLDER, "darwin": darwin, "empty": b"", "d": silent, "c": BOUND}
    for name, content in contents.items():
        path = tmp_path / "node_modules" / name / f"{name}.node"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (tmp_path / "gone.node").symlink_to("nowhere")
    found = addons(tmp_path, 0)
    assert found == {tmp_path / "node_modules/c/c.node": "115", tmp_path / "node_modules/d/d.node": ""}
    assert list(found) == sorted(found)
    assert addons(tmp_path / "nowhere", 0) == {}


@pytest.mark.parametrize("before", [0, PIECE - 40, PIECE - 30, PIECE - 20, PIECE - 5, PIECE, 2 * PIECE - 10])
def test_an_addon_is_read_piece_by_piece_and_its_name_found_wherever_it_is(tmp_path: Path, before: int) -> None:
    (tmp_path / "a.node").write_bytes(BOUND[:4] + bytes(before) + BOUND[4:] + bytes(PIECE))
    (tmp_path / "b.node").write_bytes(NODE_API_AND_OLDER[:4] + bytes(before) + NODE_API_AND_OLDER[4:] + bytes(PIECE))
    assert addons(tmp_path, 0) == {tmp_path / "a.node": "115"}


@pytest.mark.parametrize("size", [(256 << 20) + 1, 2 << 30, 1 << 40])
def test_what_is_larger_than_any_addon_is_passed_over(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.node").write_bytes(BOUND)
    os.truncate(tmp_path / "a.node", size)
    assert addons(tmp_path, 0) == {}


@needs_root
def test_what_the_service_has_written_is_no_addon_of_the_release(tmp_path: Path) -> None:
    """Where it may write: in a directory, or in the whole release."""
    for path in (tmp_path / "built.node", tmp_path / "uploads/x.node"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(BOUND)
    os.chown(tmp_path / "uploads/x.node", SERVICE, SERVICE)
    changed = (tmp_path / "uploads/x.node").stat().st_ctime
    assert addons(tmp_path, changed - 1) == {tmp_path / "built.node": "115"}
    assert addons(tmp_path, 0) == {tmp_path / "built.node": "115"}
    # what the build has put there
    assert addons(tmp_path, changed) == {tmp_path / "built.node": "115", tmp_path / "uploads/x.node": "115"}


@needs_root
@pytest.mark.parametrize("deed", ["changes it", "moves another one there"])
def test_an_addon_that_the_service_has_changed_does_not_count(tmp_path: Path, deed: str) -> None:
    (tmp_path / "a.node").write_bytes(BOUND)
    os.chown(tmp_path / "a.node", SERVICE, SERVICE)
    made = (tmp_path / "a.node").stat().st_ctime + 0.001
    time.sleep(0.05)
    if deed == "changes it":
        (tmp_path / "a.node").write_bytes(BOUND)
    else:
        (tmp_path / "a.node").rename(tmp_path / "b.node")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    assert addons(tmp_path, made) == {}


def test_directories_that_only_an_attacker_nests_so_deeply_are_passed_over(tmp_path: Path) -> None:
    current = os.open(tmp_path, os.O_RDONLY)
    for _level in range(600):
        os.mkdir("a", dir_fd=current)
        following = os.open("a", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = following
    os.close(current)
    (tmp_path / "b.node").write_bytes(BOUND)
    assert addons(tmp_path, 0) == {tmp_path / "b.node": "115"}
    discard_path(tmp_path / "a")
