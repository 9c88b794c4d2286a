# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is refused that the host has no memory for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from activation_host import desiring
from ansible_collections.workbot.stability.plugins.module_utils._deploy import preconditions
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.preconditions import (
    check_host,
    require_memory,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process


def test_memory_for_both_at_once_and_for_another_pm2() -> None:
    require_memory(2, [300, 250], 670)
    require_memory(2, [], 270)
    with pytest.raises(ActivationError, match=r"2 x 300 MB .* and 70 MB for PM2 = 670 MB, and 669 MB are available"):
        require_memory(2, [300, 250], 669)
    with pytest.raises(ActivationError, match="2 x 100 MB"):
        require_memory(2, [40], 269)


@pytest.fixture
def large() -> Iterator[int]:
    """A process of this user that has between 200 and 299 MB."""
    program = "held = b'x' * 210_000_000; print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has 1,000 MB that are free."""
    monkeypatch.setattr(preconditions, "_available_mb", lambda: 1000)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize(
    ("app", "user", "said"),
    [
        ({}, os.getuid(), r"1000 x 2\d\d MB \(as large .* and 12\d\d MB are available"),
        ({"max_memory_restart": "1G"}, os.getuid(), r"1000 x 2\d\d MB \(as large .* and 12\d\d MB are available"),
        ({"max_memory_restart": "150M"}, os.getuid(), r"1000 x 150 MB \(as large .* and 1150 MB are available"),
        ({}, os.getuid() + 1, r"1000 x 100 MB \(the least .* and 1000 MB are available"),
    ],
    ids=["what-it-has", "below-its-limit", "above-its-limit", "another-user"],
)
def test_a_process_that_pm2_names_counts_as_the_services_own_and_once(
    app: dict[str, Any], user: int, said: str, host: Context, large: int
) -> None:
    context = desiring(replace(host, user=replace(host.user, uid=user)), overlap=False, app=app | {"instances": 1000})
    live = tuple(Pm2Process("shop", number, large, "online", 0, 0.0) for number in range(2))
    with pytest.raises(ActivationError, match=said):
        check_host(context, Actual(live=live))
