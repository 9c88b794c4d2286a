# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket of each worker beside one that PM2's cluster shares: who waits when a worker ends, throughput and balance.

    make benchmark-workers

On the host of molecule, behind the same Nginx, two workers of the same program each, in turns. Workers are killed under
load, and stopped for as long as the watchdog takes to notice. The result is printed and kept in benchmarks/results/.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from behind_nginx import INSTALL_WRK, ROOT, found, nginx_site, refuse_errors, wrk

sys.path.insert(0, str(ROOT / "molecule" / "support"))

from deployments import load
from hosts import HOST, HOSTS, host_of

RESULT = Path(__file__).parent / "results" / "workers.json"
KILLS, STOPS, STOPPED_SECONDS = 40, 10, 3.5
ROUNDS, SECONDS, CONNECTIONS = 5, 4, 64
WORKERS = 2
PLACE = "/srv/benchmark-workers"
PM2 = f"umask 0; HOME={PLACE} PM2_HOME={PLACE}/.pm2 PATH=/opt/workbot/bin:/usr/bin:/bin /opt/workbot/bin/pm2"
SIDES = ("shared", "own")
UNDER_KILLS = ("--connections=48", "--pause=0.1")
LIGHT, HEAVY = ("--connections=4", "--pause=0.2"), (f"--connections={CONNECTIONS}", "--pause=0")

PROGRAM = """
const server = require('node:http').createServer((request, answer) => {
  request.resume().on('end', () => {
    answer.setHeader('X-Release', String(process.pid));
    answer.end('x'.repeat(500));
  });
});
server.keepAliveTimeout = 65000;
server.listen(process.env.PORT);
"""
NGINX = """
upstream %(side)s {
    zone %(side)s 256k;
    %(servers)s
    keepalive 32;
    keepalive_time 3s;
    keepalive_timeout 2s;
}
server {
    listen 80;
    server_name %(side)s.test;
    access_log off;
    location / {
        proxy_pass http://%(side)s;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_next_upstream error;
    }
}
"""
SERVERS = {
    "shared": f"server unix:{PLACE}/shared.sock;",
    "own": f"least_conn; server unix:{PLACE}/own@0.sock max_fails=0; server unix:{PLACE}/own@1.sock max_fails=0;",
}

host = host_of(HOST)


def app(side: str) -> dict[str, Any]:
    return {
        "name": side,
        "script": f"{PLACE}/program.js",
        "exec_mode": "cluster",
        "instances": WORKERS,
        "max_restarts": 10000,
        "min_uptime": 100,
        "node_args": ["--require", "/srv/workbot/config/own-socket.cjs"] if side == "own" else [],
        "env": {"PORT": f"{PLACE}/{'own@0' if side == 'own' else 'shared'}.sock"},
    }


def put(path: str, content: str) -> None:
    host.check_output("printf %%s %s > %s", content, path)


def set_up() -> None:
    host.check_output(INSTALL_WRK)
    host.check_output(f"mkdir -p {PLACE}")
    put(f"{PLACE}/program.js", PROGRAM)
    put(f"{PLACE}/apps.config.cjs", f"module.exports = {json.dumps({'apps': [app(side) for side in SIDES]})};")
    host.check_output(f"{PM2} start {PLACE}/apps.config.cjs")
    for side in SIDES:
        text = NGINX % {"side": side, "servers": SERVERS[side]}
        nginx_site(name=f"benchmark-{side}", files=[{"path": f"conf.d/benchmark-{side}.conf", "content": text}])


def take_down() -> None:
    for side in SIDES:
        nginx_site(name=f"benchmark-{side}", state="absent")
    host.check_output(f"{PM2} kill; rm -r {PLACE}")


def workers(side: str) -> list[int]:
    listed = json.loads(host.check_output(f"{PM2} jlist").splitlines()[-1])
    return [item["pid"] for item in listed if item["name"] == side and item["pm2_env"]["status"] == "online"]


def end_workers(side: str, times: int, stopped: float = 0) -> None:
    """Kills one at a time, if wanted after it was stopped for so long; each when both are there."""
    for _time in range(times):
        while len(there := workers(side)) != WORKERS:
            time.sleep(0.2)
        time.sleep(1)
        victim = random.choice(there)
        stop = f"kill -STOP {victim}; sleep {stopped}; " if stopped else ""
        host.check_output(f"{stop}kill -KILL {victim}")


def noticed(side: str, address: str, times: int, stopped: float = 0) -> dict[str, Any]:
    with load(address, f"--host={side}.test", *UNDER_KILLS) as tally:
        end_workers(side, times, stopped)
    failed: dict[str, int] = {}
    for failure in tally["failures"]:
        what = f"{failure['what']}: {failure['why']}"
        failed[what] = failed.get(what, 0) + 1
    return {
        "requests": sum(tally["requests"].values()),
        "failed": tally["failed"],
        "how": failed,
        "longest_answer_seconds": round(tally["slowest"], 2),
    }


def balance(side: str, address: str, *options: str) -> list[int]:
    """How many requests each worker had."""
    with load(address, f"--host={side}.test", *options) as tally:
        time.sleep(5)
    return sorted(seen["count"] for seen in tally["releases"].values())


def throughput(side: str) -> dict[str, float]:
    output = host.check_output(wrk(f"{side}.test", 80, CONNECTIONS, SECONDS))
    refuse_errors(side, output)
    latency = {f"p{share}_ms": milliseconds(found(rf"\n\s+{share}%\s+(\S+)", output)) for share in (50, 99)}
    return {"requests_per_second": float(found(r"Requests/sec:\s+([\d.]+)", output)), **latency}


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return round(float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], 2)


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(item[name] for item in rounds) for name in rounds[0]}


def main() -> None:
    address = (HOSTS / f"{HOST}.address").read_text(encoding="utf-8").strip()
    set_up()
    try:
        rounds: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _round in range(ROUNDS):
            for side in SIDES:
                rounds[side].append(throughput(side))
        result = {
            "what": f"two workers under PM2 behind Nginx; 48 clients, GET and POST in turns, while workers are killed"
            f" ({KILLS} times SIGKILL) and stopped ({STOPS} times SIGSTOP, SIGKILL {STOPPED_SECONDS} s later); wrk with"
            f" {CONNECTIONS} connections, medians of {ROUNDS} rounds of {SECONDS} s each, in turns",
            **{
                side: {
                    "throughput": medians(rounds[side]),
                    "requests_by_worker": {
                        "light": balance(side, address, *LIGHT),
                        "heavy": balance(side, address, *HEAVY),
                    },
                    "killed": noticed(side, address, KILLS),
                    "stopped": noticed(side, address, STOPS, STOPPED_SECONDS),
                }
                for side in SIDES
            },
        }
    finally:
        take_down()
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
