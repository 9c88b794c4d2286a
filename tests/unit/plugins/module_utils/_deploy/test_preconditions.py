# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is refused that the host has no memory or no suitable Node.js for. Node.js is a real one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from activation_host import GOOD, deploy, desiring, picture, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.preconditions import (
    require_addons,
    require_memory,
)
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.package import node_abi
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.daemon import Daemon

# what Node.js 26 says of an addon that registers itself
REFUSING = """#!/bin/sh
case "$1" in
--print) echo 147 ;;
*) printf "The module '%s'\\nwas compiled against a different Node.js version using\\nNODE_MODULE_VERSION 115. " "$4"
   echo "This version of Node.js requires\\nNODE_MODULE_VERSION 147." ;;
esac
"""


def of_abi(abi: str) -> bytes:
    return b"\x7fELF\0_init\0node_register_module_v" + abi.encode() + b"\0"


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
    require_addons(client, tmp_path, None, None)
    put(tmp_path, "x/theirs.node", of_abi("72"))
    says = f"addon x/theirs.node was built for a Node.js of ABI 72, and the processes run under ABI {running}"
    with pytest.raises(ActivationError, match=f"{says}. Deploy it from its source again"):
        require_addons(client, tmp_path, None, None)


def test_what_an_addon_does_not_say_nodejs_does(client: Pm2Client, tmp_path: Path) -> None:
    put(tmp_path, "silent.node", b"\x7fELF\0node_module_register\0")
    require_addons(client, tmp_path, None, None)  # the real one calls it broken, but not built for another ABI
    node = tmp_path / "node"
    node.write_text(REFUSING)
    node.chmod(0o755)
    with pytest.raises(ActivationError, match=r"silent\.node was built for a Node.js of ABI 115, .* ABI 147"):
        require_addons(replace(client, node=str(node)), tmp_path, None, None)


def test_cluster_workers_are_asked_for_the_nodejs_of_their_daemon(client: Pm2Client, tmp_path: Path) -> None:
    """The daemon here is the tests' own process, which can't tell an ABI: nothing is refused for what is not known."""
    put(tmp_path, "theirs.node", of_abi("72"))
    require_addons(client, tmp_path, os.getpid(), None)


def test_an_outdated_daemon_is_named_with_the_way_out(
    client: Pm2Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "theirs.node", of_abi("72"))
    daemon = Daemon(os.getpid(), "pm2-shop.service", "7", "7", True, "22.1.0", "26.0.0")
    module = "ansible_collections.workbot.stability.plugins.module_utils._deploy.preconditions._said"
    monkeypatch.setattr(module, lambda *_arguments: "127")
    with pytest.raises(ActivationError, match=r"still runs under 22\.1\.0 .*pm2_restart_outdated_daemon: true"):
        require_addons(client, tmp_path, daemon.pid, daemon)


def test_nothing_is_started_of_such_a_release(
    served: Context, monkeypatch: pytest.MonkeyPatch, client: Pm2Client
) -> None:
    """Also where daemon and installation are the same: the release is from before an upgrade of both."""
    release(served, "kept", GOOD)
    put(served.places.release("kept"), "node_modules/x/x.node", of_abi("72"))
    before = picture(served)
    monkeypatch.setattr(type(served.client), "as_user", lambda _self, *arguments: client.as_user(*arguments))
    forked = desiring(served, app={**served.desired.app, "exec_mode": "fork"})
    object.__setattr__(forked.client, "node", client.node)
    with pytest.raises(
        ActivationError, match=r"native addon node_modules/x/x\.node was built for a Node\.js of ABI 72"
    ):
        deploy(forked, "kept")
    assert picture(served) == before


def test_memory_for_both_at_once() -> None:
    require_memory(2, [300, 250], 600)
    require_memory(2, [], 200)
    with pytest.raises(ActivationError, match=r"2 x 300 MB .* = 600 MB, and 599 MB"):
        require_memory(2, [300, 250], 599)
    with pytest.raises(ActivationError, match="2 x 100 MB"):
        require_memory(2, [40], 199)
