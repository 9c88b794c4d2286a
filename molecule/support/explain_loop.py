# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as postgres: asks again and again how queries would be run, until it is told to stop.

Arguments: port, a file with a JSON object of names and queries, a file for the answer. The answer is how many rounds
there were, and of each query whose plan had no index, how often that was so. Sequential scans cost so much that any
index wins.
"""

import json
import pathlib
import signal
import sys

import psycopg

port, queries, answer = sys.argv[1:]
asked = json.loads(pathlib.Path(queries).read_text())
rounds, without = 0, {}
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

with psycopg.connect(f"host=/var/run/postgresql port={port} dbname=postgres", autocommit=True) as connection:
    connection.execute("SET enable_seqscan = off")
    while not stopped:
        for name, query in asked.items():
            plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}"))
            if "Index" not in plan:
                without[name] = without.get(name, 0) + 1
        rounds += 1

pathlib.Path(answer).write_text(json.dumps({"rounds": rounds, "without": without}))
