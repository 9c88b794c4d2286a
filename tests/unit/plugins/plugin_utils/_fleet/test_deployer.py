# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.deployer import controller, deployer

ME = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, ME),
        ({"SUDO_USER": "alice"}, f"alice@{socket.gethostname()}"),
        (
            {"CI_JOB_URL": "https://gitlab.example/a/-/jobs/7", "GITLAB_USER_LOGIN": "alice"},
            f"{ME} (alice, https://gitlab.example/a/-/jobs/7)",
        ),
        (
            {
                "GITHUB_SERVER_URL": "https://github.example",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_RUN_ID": "42",
                "GITHUB_ACTOR": "bob",
            },
            f"{ME} (bob, https://github.example/a/b/actions/runs/42)",
        ),
        ({"BUILD_URL": "https://jenkins.example/job/a/7/"}, f"{ME} (https://jenkins.example/job/a/7/)"),
        ({"SUDO_USER": "a\nb"}, f"a?b@{socket.gethostname()}"),
    ],
)
def test_who(environment: dict[str, str], words: str) -> None:
    assert deployer(environment) == words


def test_it_stays_one_short_line() -> None:
    assert len(deployer({"BUILD_URL": "x" * 5000})) == 300


def test_a_controller_is_more_than_its_name() -> None:
    assert controller().split(" ", 1)[0] == socket.gethostname()
    assert str(Path("/proc/self/ns/pid").readlink()) in controller()
