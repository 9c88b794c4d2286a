# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that can listen on a TCP port only is deployed as any other, and opens no port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments import AT_ONCE, FROM_RELEASE, Service, assert_unnoticed, load, release

PORT = 3123
CLUSTER: dict[str, Any] = {"pm2_listen_port": PORT}
FORK: dict[str, Any] = {"pm2_listen_port": PORT, "pm2_exec_mode": "fork"}
GOING_AWAY = 1001


def test_a_service_with_a_port_is_deployed_unnoticed(shop: Service, good: str, address: str, tmp_path: Path) -> None:
    """From a socket to a port, to another release, from cluster workers to forked processes."""
    with load(address, "--host=shop.test", "--connections=16", "--websockets=10") as tally:
        for source, mode in ((good, CLUSTER), (release(tmp_path, "other"), CLUSTER), (good, FORK)):
            shop.deploy(FROM_RELEASE, release_directory=source, **mode)
            shop.settled()
    assert_unnoticed(tally, closed=(GOING_AWAY,))
    assert tally["releases"].keys() == {"good", "other"}
    assert not shop.host.socket(f"tcp://{PORT}").is_listening


def test_a_program_that_insists_on_a_port_gets_no_port(shop: Service, address: str, tmp_path: Path) -> None:
    """It reads no variable, it listens where it always has."""
    source = release(tmp_path, "stubborn")
    program = Path(source, "server.js")
    text = program.read_text(encoding="utf-8")
    assert "const port = process.env.PORT;" in text
    program.write_text(text.replace("process.env.PORT;", f"'{PORT}';"), encoding="utf-8")
    shop.bring(source, **CLUSTER)
    with load(address, "--host=shop.test", "--connections=4", "--websockets=2") as tally:
        assert not shop.deploy(FROM_RELEASE, release_directory=source, **AT_ONCE, **CLUSTER).changed
    assert_unnoticed(tally)
    assert tally["releases"].keys() == {"stubborn"}
    assert not shop.host.socket(f"tcp://{PORT}").is_listening
