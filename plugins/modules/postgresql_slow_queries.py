#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_slow_queries
short_description: Name a database's slowest statements, N+1 queries and missing indexes
description:
  - Reads C(pg_stat_statements) of one database. Reports the first statements by mean time, total time or calls, with
    rows per call, cache hits, temporary files and WAL; names statements that look like one query for each row of a list
    (N+1), and large tables that are read as a whole again and again.
  - With O(state_file) the figures are those since an earlier call, not since the counters were reset. A reset, a
    restart and counters that began anew are noticed and said.
  - Statements are shown without literals and comments. Only reads from the server.
  - When C(pg_stat_statements) can't be used, the module fails and says which piece is missing.
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
extends_documentation_fragment:
  - workbot.stability.postgresql
  - workbot.stability.read_only
  - workbot.stability.read_only.fail_on
attributes:
  check_mode:
    description: Reads the same in check mode, and leaves O(state_file) as it is.
options:
  roles:
    description:
      - Only the statements of these roles. Without any, those of all roles.
      - Those of other roles are hidden unless the one that asks is a member of C(pg_read_all_stats), or the diagnosis
        role of M(workbot.stability.postgresql_database).
    type: list
    elements: str
    default: []
  order:
    description: What the statements are ordered by.
    type: str
    choices: [mean, total, calls]
    default: mean
  count:
    description: How many statements are reported.
    type: int
    default: 10
  state_file:
    description:
      - File on the host, of the user that the module runs as, that keeps the earlier figures. Its directory must exist.
      - Without it the window begins at the last reset of the counters.
    type: path
  window:
    description:
      - Seconds that a window has at least. Figures in O(state_file) that are as old as that are replaced by those of
        this call; the ones before are kept for the calls that follow soon.
    type: int
    default: 600
  mean_warning:
    description: Mean time of a statement, in ms, that is a warning.
    type: float
    default: 500
  mean_critical:
    description: Mean time of a statement, in ms, that is critical.
    type: float
    default: 5000
  n_plus_one_calls:
    description: Calls from which on a look-up of few rows may be an N+1.
    type: int
    default: 100
  table_rows:
    description: Rows from which on a table is too large to be read as a whole.
    type: int
    default: 10000
  fail_on:
    default: never
"""

EXAMPLES = r"""
- name: Name the ten slowest statements of the service since the last hour
  workbot.stability.postgresql_slow_queries:
    login_db: workbot
    roles: [workbot]
    state_file: /var/lib/workbot-diagnose/statements.json
    window: 3600
  become: true
  become_user: postgres
  register: slow

- name: Fail when a statement takes more than 100 ms on average
  workbot.stability.postgresql_slow_queries:
    login_host: db.example.com
    login_user: workbot_diagnosis
    login_password: "{{ vault_diagnosis_password }}"
    login_db: workbot
    mean_warning: 50
    mean_critical: 100
    fail_on: critical
"""

RETURN = r"""
status:
  description: The worst of the findings, V(ok), V(warning) or V(critical).
  returned: always
  type: str
  sample: warning
findings:
  description: What was judged, see M(workbot.stability.health_check).
  returned: always
  type: list
  elements: dict
  sample:
    - check: statements.n_plus_one.5612904811387245107
      status: warning
      value: 200
      threshold: 100
      unit: calls
statements:
  description:
    - The first statements in the chosen order. C(id) is the server's C(queryid), C(query) the beginning of the
      statement, without literals. C(total_ms) and C(rows) are of all calls together.
    - C(cache_hit_percent) is the part of its blocks that were in the server's cache, V(null) when it read none;
      C(temp_mb) what it wrote to and read from temporary files, C(wal_mb) what it wrote to the write-ahead log.
  returned: success
  type: list
  elements: dict
  sample:
    - id: "5612904811387245107"
      role: workbot
      query: SELECT * FROM robots WHERE id = $1
      calls: 200
      total_ms: 84.2
      mean_ms: 0.421
      rows: 200
      rows_per_call: 1.0
      cache_hit_percent: 100.0
      temp_mb: 0.0
      wal_mb: 0.0
window:
  description:
    - What the figures are of. C(since) is its begin, in seconds since the epoch by the server's clock, C(kinds) how
      many kinds of statements ran in it. C(notes) must be known about the figures, such as a reset of the counters.
  returned: success
  type: dict
  sample: {since: 1796000000.125, seconds: 3600.5, kinds: 42, notes: []}
"""

from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import (
    FAIL_ON_OPTION,
    levels_of,
    run_check,
    threshold_options,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import Thresholds, verdict
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    Login,
    session,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.slow_queries import (
    ORDERS,
    SlowLimits,
    figures,
    judge,
    top,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.statements import read
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.window import (
    Window,
    baseline,
    replace,
    snapshot_of,
    window,
)

SPEC = {
    **CONNECTION_OPTIONS,
    "roles": {"type": "list", "elements": "str", "default": []},
    "order": {"type": "str", "choices": list(ORDERS), "default": "mean"},
    "count": {"type": "int", "default": 10},
    "state_file": {"type": "path"},
    "window": {"type": "int", "default": 600},
    **threshold_options(mean=(500, 5000)),
    "n_plus_one_calls": {"type": "int", "default": 100},
    "table_rows": {"type": "int", "default": 10000},
    "fail_on": {**FAIL_ON_OPTION["fail_on"], "default": "never"},
}


def measure(params: dict[str, Any], *, keep: bool) -> Window:
    """Read the statistics and compare them with the kept ones, which are replaced when they are old enough."""
    with session(Login.of(params, "slow_queries")) as client:
        reading = read(client, params["roles"])
    if not params["state_file"]:
        return window(reading, None)
    path = Path(params["state_file"])
    before, due = baseline(path, reading.now, params["window"])
    if keep and due:
        try:
            replace(path, snapshot_of(reading))
        except OSError as error:
            raise StabilityError(f"state_file = {path}: {error.strerror}") from error
    return window(reading, before)


def check(params: dict[str, Any], *, keep: bool) -> dict[str, Any]:
    """Read and judge; the module's result."""
    for name in ("count", "n_plus_one_calls", "table_rows"):
        if params[name] < 1:
            raise StabilityError(f"{name} = {params[name]}: must be 1 or more")
    mean = Thresholds.of(levels_of(params, "mean"), "mean")
    found = measure(params, keep=keep)
    first = top(found, params["order"], params["count"])
    slowest = top(found, "mean", params["count"])
    limits = SlowLimits(mean, calls=params["n_plus_one_calls"], table_rows=params["table_rows"])
    findings = judge(found, slowest, limits)
    return {
        **verdict(findings),
        "statements": [figures(statement) for statement in first],
        "window": {
            "since": round(found.since, 3),
            "seconds": round(found.seconds, 3),
            "kinds": len(found.statements),
            "notes": list(found.notes),
        },
    }


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    run_check(module, lambda params: check(params, keep=not module.check_mode))


if __name__ == "__main__":
    main()
