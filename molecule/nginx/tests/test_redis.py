# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference service's own limit for several proxies, with Debian's Redis."""

from __future__ import annotations

import re

from testinfra.host import Host


def test_the_window_in_redis_is_shared_and_slides(host: Host) -> None:
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes redis-server")
    try:
        host.check_output("systemctl start redis-server")
        node = "env REDIS_URL=redis://127.0.0.1:6379 /opt/workbot/bin/node --import tsx --test --test-reporter=tap"
        done = host.run("cd /srv/workbot/current && exec runuser -u workbot -- " + node + " test/redisLimit.test.ts")
    finally:
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --quiet --yes --auto-remove redis-server")
    assert done.rc == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (pass|fail|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert (counts["fail"], counts["skipped"]) == ("0", "0")
    assert int(counts["pass"]) >= 3, done.stdout
