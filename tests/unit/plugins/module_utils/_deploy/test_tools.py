# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Node.js a release can run under, and that one is refused which can under none. Node.js is a real one."""

from __future__ import annotations

import json
import os
import pwd
import time
from dataclasses import replace
from pathlib import Path

import pytest
from activation_host import GOOD, deploy, picture, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.tools import tools_for
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.package import node_abi
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client

ME = Identity.of(pwd.getpwuid(os.getuid()).pw_name)
# what Node.js 26 says of an addon that registers itself
REFUSING = """#!/bin/sh
case "$1" in
--print) echo 147 ;;
*) printf "The module '%s'\\nwas compiled against a different Node.js version using\\nNODE_MODULE_VERSION 115. " "$4"
   echo "This version of Node.js requires\\nNODE_MODULE_VERSION 147." ;;
esac
"""

# one that has an ABI, and satisfies no range
OTHER = """#!/bin/sh
test "$1" = --print && echo {abi} || echo '{{"valid": true, "satisfied": false, "version": "1"}}'
"""


def of_abi(abi: str) -> bytes:
    return b"\x7fELF\0_init\0node_register_module_v" + abi.encode() + b"\0"


def service_writes(release: Path, name: str, content: bytes) -> None:
    path = put(release, name, content)
    os.chown(path, 12345, 12345)


def declare_whole(release: Path, identifier: str) -> None:
    """As root does when a release is made."""
    mark = {"id": identifier, "digest": "", "created": time.time(), "package_manager": "npm"}
    put(release, ".release.json", json.dumps(mark).encode())


def put(release: Path, name: str, content: bytes) -> Path:
    path = release / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def client(tmp_path: Path, bin_directory: Path) -> Pm2Client:
    return Pm2Client(tmp_path, "/usr/bin/pm2", str(bin_directory / "node"), None, 5)


def test_an_addon_of_another_abi_is_refused_and_one_of_the_same_is_not(
    client: Pm2Client, tmp_path: Path, bin_directory: Path
) -> None:
    running = node_abi(bin_directory)
    put(tmp_path, "x/ours.node", of_abi(running))
    tools_for(client, tmp_path, ME)
    put(tmp_path, "x/theirs.node", of_abi("72"))
    says = f"addon x/theirs.node was built for a Node.js of ABI 72, and the installed one has ABI {running}"
    with pytest.raises(ActivationError, match=f"{says}. Deploy it from its source again"):
        tools_for(client, tmp_path, ME)


def test_what_an_addon_does_not_say_nodejs_does(client: Pm2Client, tmp_path: Path) -> None:
    put(tmp_path, "silent.node", b"\x7fELF\0node_module_register\0")
    tools_for(client, tmp_path, ME)  # the real one calls it broken, but not built for another ABI
    node = tmp_path / "node"
    node.write_text(REFUSING)
    node.chmod(0o755)
    with pytest.raises(ActivationError, match=r"silent\.node was built for a Node.js of ABI 115, .* ABI 147"):
        tools_for(replace(client, node=str(node)), tmp_path, ME)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to others")
def test_a_service_can_not_have_its_release_refused_by_an_addon_of_its_own(client: Pm2Client, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    service_writes(whole, "build/x.node", of_abi("72"))
    tools_for(client, whole, ME)
    declare_whole(whole, "another")
    tools_for(client, whole, ME)
    declare_whole(whole, "whole")
    with pytest.raises(ActivationError, match=r"build/x\.node was built for a Node\.js of ABI 72"):
        tools_for(client, whole, ME)
    (whole / "build/x.node").unlink()
    time.sleep(0.05)
    service_writes(whole, "uploads/x.node", of_abi("72"))
    tools_for(client, whole, ME)


def test_nothing_is_started_of_such_a_release(served: Context, client: Pm2Client) -> None:
    """The release is from before an upgrade of Node.js."""
    release(served, "kept", GOOD)
    put(served.places.release("kept"), "node_modules/x/x.node", of_abi("72"))
    before = picture(served)
    tools = replace(served.tools, node=client.node)
    with pytest.raises(
        ActivationError, match=r"native addon node_modules/x/x\.node was built for a Node\.js of ABI 72"
    ):
        deploy(replace(served, tools=tools), "kept")
    assert picture(served) == before


@pytest.fixture
def installed(tmp_path: Path, bin_directory: Path) -> Pm2Client:
    """Three toolchains, as the role nodejs lays them out: the real Node.js is the installed one."""
    for age, (name, abi) in enumerate((("young", "115"), ("old", "115"), ("older", "72"))):
        binaries = tmp_path / "versions" / name / "bin"
        binaries.mkdir(parents=True)
        (binaries / "node").write_text(OTHER.format(abi=abi))
        (binaries / "node").chmod(0o755)
        os.utime(binaries, (1000 - age, 1000 - age))
    real = tmp_path / "versions/real/bin"
    real.mkdir(parents=True)
    for name in ("node", "npm"):
        (real / name).symlink_to(bin_directory / name)
    (tmp_path / "bin").symlink_to("versions/real/bin")
    return Pm2Client(tmp_path, str(tmp_path / "bin/pm2"), str(tmp_path / "bin/node"), None, 5)


def test_what_runs_under_the_installed_ones_gets_these(installed: Pm2Client, tmp_path: Path) -> None:
    put(tmp_path, "release/x.node", of_abi(node_abi(tmp_path / "bin")))
    assert tools_for(installed, tmp_path / "release", ME) == installed


@pytest.mark.parametrize(("abi", "name"), [("115", "young"), ("72", "older")])
def test_what_was_built_for_another_gets_the_youngest_that_it_runs_under(
    installed: Pm2Client, tmp_path: Path, abi: str, name: str
) -> None:
    put(tmp_path, "release/x.node", of_abi(abi))
    found = tools_for(installed, tmp_path / "release", ME)
    binaries = tmp_path / "versions" / name / "bin"
    assert (found.node, found.pm2, found.home) == (str(binaries / "node"), str(binaries / "pm2"), installed.home)


def test_what_runs_under_none_is_told_what_is_wrong_with_the_installed_one(
    installed: Pm2Client, tmp_path: Path
) -> None:
    put(tmp_path, "release/x.node", of_abi("99"))
    running = node_abi(tmp_path / "bin")
    with pytest.raises(ActivationError, match=rf"of ABI 99, and the installed one has ABI {running}\."):
        tools_for(installed, tmp_path / "release", ME)
    put(tmp_path, "engines/package.json", json.dumps({"engines": {"node": ">=999"}}).encode())
    with pytest.raises(StabilityError, match=r"needs Node\.js >=999"):
        tools_for(installed, tmp_path / "engines", ME)
