# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a remedy does on the host; the process that it is about is a real one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Condition, Remedy, Step
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.readings import started_at
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.remedies import Actions


def test_a_hung_worker_is_not_killed_in_the_middle_of_another_command(tmp_path: Path) -> None:
    """PM2 would start it again at once, and an operator's stop would be lost."""
    client = Pm2Client(tmp_path, "pm2", "node", None, 5)
    settings: Any = SimpleNamespace(
        client=client, process_lock=tmp_path / ".processes.lock", existing=None, sockets=str(tmp_path / "active")
    )
    step = Step("service", Remedy.KILL_WORKER, Condition(Code.WORKER_HUNG, "", (Remedy.KILL_WORKER,), (0,)), 1)
    with subprocess.Popen(["sleep", "60"]) as worker:
        process = SimpleNamespace(pid=worker.pid)
        readings: Any = SimpleNamespace(
            activation=None, workers=[SimpleNamespace(number=0, process=process, started=started_at(worker.pid))]
        )
        actions = Actions(settings, readings, lambda _workers: None)
        with client.lock():
            outcome = actions.carry_out(step)
        assert (outcome.done, worker.poll()) == (False, None)
        assert "another run is changing the processes" in outcome.message
        with lock(settings.process_lock, AssertionError()):
            assert "a deployment is exchanging the processes" in actions.carry_out(step).message
        active = tmp_path / "active"
        active.symlink_to("another")
        assert "another activation has become active" in actions.carry_out(step).message
        active.unlink()
        assert worker.poll() is None
        assert actions.carry_out(step).done
        assert worker.wait(10) == -9
