# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the database share: rows to read, the service with its faults, a PostgreSQL of the tests' own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databases import ENVIRONMENT, get, sql
from own_postgresql import Postgres, own_postgresql
from testinfra.host import Host

FAULTS = "/run/workbot/faults.sock"
CONVERSATIONS = 200
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rows(host: Host) -> Iterator[int]:
    """Conversations of a robot of our own; how many there are in all."""
    sql(
        host,
        "WITH robot AS (INSERT INTO robots (name, model) VALUES ('molecule', 'm') RETURNING id)"
        " INSERT INTO conversations (robot_id, title)"
        f" SELECT robot.id, n::text FROM robot, generate_series(1, {CONVERSATIONS}) n",
    )
    yield int(sql(host, "SELECT count(*) FROM conversations"))
    sql(host, "DELETE FROM robots WHERE name = 'molecule'")


@pytest.fixture(scope="module")
def faulty(host: Host) -> Iterator[Ask]:
    """The service once more beside the one that serves, with its faults; asks it for paths, one after the other."""
    release = host.check_output("readlink -f /srv/workbot/current")
    host.check_output(
        "systemd-run --quiet --unit=workbot-faults --uid=workbot --setenv=WORKBOT_FAULTS=1 --setenv=PORT=%s"
        " --working-directory=%s /opt/workbot/bin/node --env-file=%s --import file://%s src/server.ts",
        FAULTS,
        release,
        ENVIRONMENT,
        f"{release}/node_modules/tsx/dist/loader.mjs",
    )
    deadline = time.monotonic() + 30
    while not host.file(FAULTS).exists:
        assert time.monotonic() < deadline, host.run("journalctl --unit=workbot-faults --lines=20").stdout
        time.sleep(0.2)
    yield lambda *paths: get(host, FAULTS, *paths)
    host.check_output("systemctl stop workbot-faults")


@pytest.fixture(scope="module")
def postgres(host: Host) -> Iterator[Postgres]:
    """Beside the service's."""
    yield from own_postgresql(host)
