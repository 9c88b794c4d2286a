# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With the Node.js and npm of the development environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.package import (
    addons,
    built_for,
    node_abi,
    require_engine,
)

NODE_API = b"\x7fELF\0napi_register_module_v1\0"
NODE_API_AND_OLDER = b"\x7fELF\0napi_register_module_v1\0node_register_module_v93\0"
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


@pytest.mark.parametrize(("text", "words"), [("{", "no valid JSON"), ("[]", "no JSON object"), ("\x80", "no valid")])
def test_a_broken_package_json_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StabilityError, match=words):
        require_engine(tmp_path, Path("/nonexistent"), ME)


def test_addons_of_other_systems_and_of_any_abi_are_no_matter(tmp_path: Path) -> None:
    bound = b"\x7fELF\0_init\0node_register_module_v115\0"
    contents = {"a": NODE_API, "b": NODE_API_AND_OLDER, "darwin": b"\xcf\xfa\xed\xfe", "empty": b"", "c": bound}
    for name, content in contents.items():
        path = tmp_path / "node_modules" / name / f"{name}.node"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (tmp_path / "gone.node").symlink_to("nowhere")
    assert addons(tmp_path) == [tmp_path / "node_modules/c/c.node"]
    assert built_for(tmp_path / "node_modules/c/c.node") == "115"
