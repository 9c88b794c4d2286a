# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Half a service: parts are missing, the server of its database is down, a directory is another disk or a link."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from deployments import Service, wait
from neighbours import LIMIT, SECOND, TWICE, run, state, traces
from nginx_sites import mounted
from testinfra.host import Host

ELSEWHERE = "/var/elsewhere"
UPLOADS = f"/srv/{SECOND}/shared"
DEAF = 'trap "" TERM; sleep 600 & wait; sleep 600'
# A daemon without a unit that does not listen, a unit that runs without a file.
REMAINS = f"""
set -eu
useradd --system --home-dir /srv/{SECOND}/home --shell /usr/sbin/nologin {SECOND}
mkdir -p /srv/{SECOND}/releases/one {UPLOADS} {ELSEWHERE}
echo kept > {ELSEWHERE}/file
ln -s {ELSEWHERE} /srv/{SECOND}/config
ln -s {ELSEWHERE} /srv/{SECOND}/releases/one/away
printf '[Service]\\nUser={SECOND}\\nExecStart=/bin/sleep infinity\\n' > /etc/systemd/system/{SECOND}.service
systemctl daemon-reload
systemctl start {SECOND}
rm /etc/systemd/system/{SECOND}.service
setsid setpriv --reuid {SECOND} --regid {SECOND} --clear-groups sh -c '{DEAF}' >/dev/null 2>&1 &
"""


@pytest.fixture(scope="module")
def remains(host: Host, second: Service) -> Iterator[Service]:
    host.check_output("bash -c %s", REMAINS)
    yield second
    host.check_output(f"rm -rf {ELSEWHERE}")


def test_what_is_there_goes_without_a_database_server(
    host: Host, first: Service, remains: Service, before: dict[str, Any]
) -> None:
    with mounted(UPLOADS, "size=1m"):
        host.check_output(f"echo precious > {UPLOADS}/upload")
        host.check_output("systemctl stop postgresql")
        try:
            halfway = wait(remains.start("remove", **TWICE), LIMIT)
        finally:
            host.check_output("systemctl start postgresql")
        assert halfway.code != 0
        assert "Its database could not be looked for" in halfway.output
        told = run(remains, "remove", **TWICE)
        assert f"{UPLOADS}: is a mount point" in told
        assert "changed=0" in told
        assert host.file(f"{UPLOADS}/upload").content_string == "precious\n"
        found = traces(host)
        # whose number the files have
        assert [line.partition(":")[0] for line in found["accounts"]] == [SECOND] * 2
        assert found["paths"] == [f"/srv/{SECOND}"]
        assert host.run("pgrep --uid %s", SECOND).stdout == ""
    run(remains, "remove", **TWICE)
    assert traces(host) == before
    assert host.file(f"{ELSEWHERE}/file").content_string == "kept\n"
    deadline = time.monotonic() + 60
    while state(first) != "healthy":
        assert time.monotonic() < deadline
        time.sleep(1)
