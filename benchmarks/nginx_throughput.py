# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throughput of the role's site next to the configuration that the plan has, word for word, on the host of molecule.

    make benchmark-nginx

Both proxy to the same Node.js server on the same port and are asked in turns by the same wrk, from the host itself. New
connections to the server are counted by the server. The result is printed and kept in benchmarks/results/.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import Any

from behind_nginx import INSTALL_WRK, ROOT, ansible, found, nginx_site, refuse_errors, wrk

HOST = "workbot-test"
RESULT = ROOT / "benchmarks" / "results" / "nginx_throughput.json"
ROUNDS, SECONDS, CONNECTIONS = 3, 4, 32
BEHIND, OURS, PLAN = 3100, 8091, 8092

SERVER = """
let connections = 0;
const server = require('node:http').createServer((request, answer) => {
  answer.setHeader('Content-Type', 'application/json');
  const body = request.url === '/connections' ? { connections } : { hello: 'world', text: 'x'.repeat(500) };
  answer.end(JSON.stringify(body));
});
server.keepAliveTimeout = 65000;
server.on('connection', () => { connections += 1; });
server.listen(%d);
"""
# The plan as it is written: a name in the upstream, keepalive, no HTTP/1.1 and no empty Connection header in
# "location /".
LITERAL = f"""
upstream plan_backend {{
    server localhost:{BEHIND};
    keepalive 64;
}}
server {{
    listen {PLAN};
    server_name plan.test;
    client_max_body_size 10M;
    access_log /var/log/nginx/plan.access.log;
    location / {{
        proxy_pass http://plan_backend;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 60s;
        proxy_send_timeout 60s;
        proxy_read_timeout 60s;
    }}
}}
"""
VARIABLES: dict[str, Any] = {
    "service_name": "benchmark",
    "service_database_enabled": False,
    "service_required_secrets": [],
    "service_secrets": {},
    "nginx_server_names": ["benchmark.test"],
    "nginx_port": OURS,
    "nginx_rate_limits": [],
    "nginx_upstream_servers": [{"host": "127.0.0.1", "port": BEHIND}],
    "nginx_upstream_keepalive_timeout": "60s",
}


def on_host(command: str) -> str:
    ssh = ["ssh", "-F", str(ROOT / ".cache/hosts/ssh_config"), HOST, f"sudo sh -c {quoted(command)}"]
    return subprocess.run(ssh, check=True, capture_output=True, text=True).stdout


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def set_up() -> None:
    on_host(INSTALL_WRK)
    on_host(f"systemd-run --quiet --unit=benchmark-server /opt/workbot/bin/node -e {quoted(SERVER % BEHIND)}")
    playbook = ["ansible-playbook", "--inventory=molecule/inventory", "molecule/nginx/edge.yml"]
    ansible(*playbook, f"--extra-vars={json.dumps(VARIABLES)}")
    nginx_site(name="plan", files=[{"path": "conf.d/plan.conf", "content": LITERAL}], logs=["plan.access.log"])


def take_down() -> None:
    for name in ("benchmark", "plan"):
        nginx_site(name=name, state="absent")
    on_host("systemctl stop benchmark-server")


def connections() -> int:
    script = (
        f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{BEHIND}/connections').read().decode())"
    )
    return int(json.loads(on_host(f'python3 -c "{script}"'))["connections"])


def measure(port: int, name: str) -> dict[str, float]:
    before = connections()
    output = on_host(wrk(name, port, CONNECTIONS, SECONDS))
    refuse_errors(name, output)
    return {
        "requests_per_second": float(found(r"Requests/sec:\s+([\d.]+)", output)),
        "requests": int(found(r"(\d+) requests in", output)),
        "new_connections": connections() - before - 1,
        "p99": found(r"99%\s+(\S+)", output),
    }


def summary(rounds: list[dict[str, float]]) -> dict[str, float]:
    rates = [item["requests_per_second"] for item in rounds]
    requests = sum(item["requests"] for item in rounds)
    fresh = sum(item["new_connections"] for item in rounds)
    return {
        "median_requests_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "requests": requests,
        "new_upstream_connections": fresh,
        "new_connections_per_1000_requests": round(1000 * fresh / requests, 2),
    }


def main() -> None:
    set_up()
    rounds: dict[str, list[dict[str, float]]] = {"ours": [], "plan": []}
    try:
        version = on_host("nginx -v 2>&1").strip().removeprefix("nginx version: ")
        for _round in range(ROUNDS):
            rounds["ours"].append(measure(OURS, "benchmark.test"))
            rounds["plan"].append(measure(PLAN, "plan.test"))
    finally:
        take_down()
    result = {
        "what": f"wrk, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS} s each, in turns",
        "nginx": version,
        **{name: summary(items) for name, items in rounds.items()},
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in result.items() if name != "rounds"}, indent=2))


if __name__ == "__main__":
    main()
