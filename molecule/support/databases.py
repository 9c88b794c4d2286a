# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of the test host, as their administrator, as the service, and through the modules."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from hosts import HOST, ROOT
from testinfra.host import Host

ENVIRONMENT = "/srv/workbot/config/environment"
PSQL = "psql --no-align --tuples-only --quiet --set=ON_ERROR_STOP=1"

# Runs on the host: asks for every path over a socket, each as another client behind Nginx, at once if wanted. Clients
# that are at it together come 30 ms apart: of a hundred in the same instant a worker that the scheduler just keeps
# waiting gets hardly any, since PM2's daemon hands a connection to the worker that took the last one first.
CLIENT = """
import concurrent.futures, http.client, json, socket, sys, time

def get(number, path):
    if int(sys.argv[2]) > 1:
        time.sleep(number * 0.03)
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1].format(number % 2))
    connection.request("GET", path, headers={"X-Real-IP": f"198.18.{number // 250}.{1 + number % 250}"})
    answer = connection.getresponse()
    return {"status": answer.status, **json.loads(answer.read())}

paths = sys.argv[3:]
with concurrent.futures.ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(json.dumps(list(pool.map(get, range(len(paths)), paths))))
"""


def sql(host: Host, statement: str, database: str = "workbot", port: int = 5432) -> str:
    """The answer to a statement of the administrator."""
    command = f"cd / && runuser -u postgres -- {PSQL} --port={port} --dbname=%s --command=%s"
    return str(host.check_output(command, database, statement))


def service_sql(host: Host, statement: str, role: str = "", database: str = "") -> Any:
    """A statement of the service, logged in as it does; with the address changed to another role or database."""
    # The host reads its own file: sudo writes command lines to the journal, and the password must not be in one.
    url = (
        f"""eval "$(grep ^DATABASE_URL= {ENVIRONMENT})"; URL=$(echo "$DATABASE_URL" |"""
        """ sed -E "s#//[^:]+:#//${ROLE:-workbot}:#; s#/[^/]+\\$#/${DATABASE:-workbot}#")"""
    )
    return host.run(f'ROLE=%s DATABASE=%s; {url}; {PSQL} --command=%s "$URL"', role, database, statement)


def diagnosis_sql(host: Host, statement: str, user: str = "workbot") -> Any:
    """A statement of the diagnosis role, logged in over the socket as this user of the host."""
    return host.run(
        f"cd / && runuser -u %s -- {PSQL} --username=workbot_diagnosis --dbname=workbot --command=%s", user, statement
    )


def module(name: str, user: str = "postgres", *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """What a module of the collection answers on the host, in check mode where that is asked for."""
    command = ["ansible", "--inventory=molecule/inventory", HOST, "--become", f"--become-user={user}"]
    command += ["--check"] if check else []
    run = subprocess.run(
        [*command, f"--module-name=workbot.stability.{name}", f"--args={json.dumps(arguments)}"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_DEPRECATION_WARNINGS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = run.stdout.partition("=> ")[2]
    assert answer, run.stdout + run.stderr
    # What follows the object is of other messages.
    found: dict[str, Any] = json.JSONDecoder().raw_decode(answer)[0]
    return {**found, "failed": run.returncode != 0}


def findings(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The findings by their check."""
    return {finding["check"]: finding for finding in result["findings"]}


def get(host: Host, socket: str, *paths: str, at_once: int = 1) -> list[dict[str, Any]]:
    """The service's answers over a socket, each to another client, as Nginx passes them on; {} is a worker, in turn."""
    command = "python3 -c %s" + " %s" * (2 + len(paths))
    answers: list[dict[str, Any]] = json.loads(host.check_output(command, CLIENT, socket, str(at_once), *paths))
    return answers
