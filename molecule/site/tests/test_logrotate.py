# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotation as logrotate does it, while the workers run."""

from __future__ import annotations

import time
from typing import Any

POLICY = "/etc/logrotate.d/workbot"
LOGS = "/var/log/workbot"
PM2_HOME = "/srv/workbot/home/.pm2"


def open_logs(host: Any) -> set[str]:
    """The log files that the workers hold open, by name; a renamed one shows its new name."""
    daemon = host.check_output(f"cat {PM2_HOME}/pm2.pid")
    workers = host.check_output(f"cat /proc/{daemon}/task/{daemon}/children").split()
    # root in a container may not look into another user's process; the user itself may
    listing = [
        host.check_output(f"setpriv --reuid workbot --regid workbot --clear-groups ls -l /proc/{pid}/fd")
        for pid in workers
    ]
    targets = {line.rpartition(" -> ")[2] for text in listing for line in text.splitlines()}
    return {target for target in targets if target.startswith(f"{LOGS}/")}


def test_the_policy_is_sound(host: Any) -> None:
    result = host.run(f"logrotate -d -s /dev/null {POLICY}")
    assert result.rc == 0
    assert "error:" not in result.stderr


def test_workers_write_to_the_new_files_after_a_forced_rotation(host: Any) -> None:
    with_content = f"{LOGS}/out.log"
    host.check_output(f"printf 'a line before the rotation\\n' >> {with_content}")
    host.check_output(f"logrotate -f {POLICY}")
    time.sleep(2)
    held = open_logs(host)
    assert with_content in held
    assert not {name for name in held if name.endswith(".log.1")}
    assert "a line before the rotation" in host.file(f"{with_content}.1").content_string
    fresh = host.file(with_content)
    assert (fresh.user, fresh.group, fresh.mode) == ("workbot", "adm", 0o644)


def test_the_logs_of_the_diagnostics_are_rotated(host: Any) -> None:
    host.check_output(f"printf 'report\\n' >> {LOGS}/diagnose_hourly.log")
    host.check_output(f"logrotate -f {POLICY}")
    assert "report" in host.file(f"{LOGS}/diagnose_hourly.log.1").content_string


def test_a_log_that_is_too_large_does_not_wait_for_the_night(host: Any) -> None:
    assert host.service("logrotate-workbot.timer").is_enabled
    large = f"{LOGS}/large.log"
    host.check_output(f"truncate -s 101M {large} && chown workbot:adm {large}")
    try:
        host.check_output("systemctl start logrotate-workbot.service")
        assert host.file(large).size == 0
        assert host.file(f"{large}.1").exists
    finally:
        host.check_output(f"rm -f {large} {large}.*")
