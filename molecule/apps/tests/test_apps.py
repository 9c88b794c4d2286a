# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each application is well after its first run, unchanged by a second one, and deployed under load without a failed
request; a release that can't work is refused, with the variable to look at."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from deployments import AT_ONCE, Run, Service, assert_unnoticed, load, wait
from hosts import ROOT, playbook
from testinfra.host import Host
from waiting import BUSY, until

SCENARIO = ROOT / "molecule/apps"
INVENTORY = str(SCENARIO / "inventory")
# Each with a page that a client asks for; those that are deployed under load, and all.
LOADED = {"registry": "/-/ping", "flows": "/", "accounts": "/", "pages": "/"}
APPS = {**LOADED, "orders": "/", "links": "/", "teams": "/", "guests": "/"}
# Where each framework says who asked, and how.
CLIENTS = {
    "accounts": "/",
    "orders": "/",
    "links": "/",
    "teams": "/",
    "guests": "/client",
    "pages": "/client",
}
# The table in which each tool keeps what it has migrated.
MIGRATED = {
    "accounts": "public.pgmigrations",
    "orders": "public.knex_migrations",
    "links": "drizzle.__drizzle_migrations",
    "teams": "public.migrations",
}
METHODS = ("GET",)
IMPATIENT = {"pm2_start_timeout": 10}


def play(name: str, *options: str, **variables: Any) -> Run:
    running: subprocess.Popen[str] = playbook(f"workbot.stability.{name}", variables, *options, inventory=INVENTORY)
    return wait(running, 600)


def recaps(run: Run) -> dict[str, dict[str, int]]:
    """The numbers of the recap, for each host."""
    lines = re.findall(r"(\w+) : (ok=\d+ changed=\d+ unreachable=\d+ failed=\d+)", run.output)
    return {name: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)} for name, text in lines}


def ask(
    address: str, app: str, path: str, body: Any = None, method: str | None = None, **headers: str
) -> tuple[int, str]:
    """Status and text of an answer through Nginx."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    sent = None if body is None else json.dumps(body)
    given = {"Host": f"{app}.test", "Content-Type": "application/json", **headers}
    connection.request(method or ("GET" if body is None else "POST"), path, sent, given)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@contextmanager
def loaded(address: str) -> Iterator[dict[str, dict[str, Any]]]:
    """Clients of all applications from here on; what they noticed is there when the load is over."""
    with ExitStack() as stack:
        # requests of `flows` wait while none of it runs
        options = ("--connections=4", f"--methods={','.join(METHODS)}", "--timeout=40")
        yield {
            app: stack.enter_context(load(address, f"--host={app}.test", f"--path={path}", *options))
            for app, path in LOADED.items()
        }


COPIES = "/run/copies-of-flows"


@contextmanager
def counted_copies(host: Host) -> Iterator[list[int]]:
    """How many processes of `flows` ran, as often as the host could look; there when the block is left."""
    # it gives itself a name soon after its start
    count = f"while sleep 0.1; do pgrep -u flows -fc '^node-red|^node .*node-red/red.js' >>{COPIES}; done"
    host.check_output("rm -f %s && systemd-run --collect --unit=count-copies sh -c %s", COPIES, count)
    counts: list[int] = []
    try:
        yield counts
    finally:
        host.check_output("systemctl stop count-copies")
    counts += map(int, host.check_output("cat %s", COPIES).split())


def release(directory: Path, version: str) -> Path:
    """A copy of all fixtures, of that version."""
    copy = directory / version
    shutil.copytree(SCENARIO / "fixtures", copy)
    for manifest in copy.glob("*/package.json"):
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}), encoding="utf-8")
    return copy


@pytest.mark.parametrize("app", APPS)
def test_it_is_well_after_its_first_run(host: Host, address: str, app: str) -> None:
    assert ask(address, app, APPS[app])[0] == 200

    def is_well() -> bool:
        diagnosis = host.run(f"{app}-diagnose")
        return bool(diagnosis.rc == 0 and ": OK (0 critical, 0 warning" in diagnosis.stdout)

    until(f"{app} is well", is_well, BUSY)
    assert host.file(f"/var/log/{app}/error.log").content_string == ""


def test_a_second_run_changes_nothing(host: Host) -> None:
    before = {app: Service(app, host).look() for app in APPS}
    run = play("site")
    assert run.code == 0, run.output
    assert {app: numbers["changed"] for app, numbers in recaps(run).items()} == dict.fromkeys(APPS, 0), run.output
    assert {app: Service(app, host).look() for app in APPS} == before


def test_more_than_the_host_has_for_all_together_is_refused(host: Host) -> None:
    memory = int(host.check_output("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    # each would have room beside what the others have planned so far
    run = play("site", "--limit=registry,flows,pages", service_memory_restart_limit=f"{memory * 3 // 10}M")
    assert run.code == 2, run.output
    assert "registry, flows, pages are one machine, with too little memory for what they plan together" in run.output
    assert "accounts 15" in run.output
    assert {numbers["changed"] for numbers in recaps(run).values()} == {0}


@pytest.mark.parametrize("app", CLIENTS)
def test_each_framework_sees_its_client_behind_the_socket(address: str, app: str) -> None:
    status, text = ask(address, app, CLIENTS[app], **{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert status == 200, text
    seen = json.loads(text)
    assert seen["protocol"].rstrip(":") == "http"
    assert re.fullmatch(r"[0-9.]+|[0-9a-f:]+", seen["ip"])
    # what a client claims to be
    assert seen["ip"] != "203.0.113.9"


def test_sveltekit_takes_a_form_of_its_own_page_and_no_other(address: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = ask(address, "guests", "/", {}, Origin="http://guests.test", Accept="application/json", **form)
    assert (status, json.loads(text)["type"]) == (200, "success")
    assert ask(address, "guests", "/", {}, Origin="http://elsewhere.test", **form)[0] == 403


@pytest.mark.parametrize("app", MIGRATED)
def test_each_migration_tool_has_migrated_at_the_first_attempt(host: Host, app: str) -> None:
    count = f"SELECT count(*), (SELECT count(*) FROM notes) FROM {MIGRATED[app]}"
    assert host.check_output("runuser -u postgres -- psql -XAtq --dbname=%s -c %s", app, count) == "1|0"


def test_a_release_of_all_is_deployed_under_load_and_their_data_stay(host: Host, address: str, tmp_path: Path) -> None:
    user = {"name": "ann", "password": "a-word-of-ann"}
    assert ask(address, "registry", "/-/user/org.couchdb.user:ann", user, "PUT")[0] == 201
    flow = [{"id": "f1", "type": "tab", "label": "kept", "disabled": False, "info": ""}]
    assert ask(address, "flows", "/flows", flow)[0] in (200, 204)
    before = {app: Service(app, host).settled() for app in LOADED}
    limit, fixtures = f"--limit={','.join(LOADED)}", str(release(tmp_path, "1.0.1"))
    with loaded(address) as tallies, counted_copies(host) as copies:
        run = play("deploy", limit, test_fixtures=fixtures, deploy_serial=len(LOADED), pm2_drain_time=2)
    assert run.code == 0, run.output
    # service_overlap is false
    assert set(copies) == {0, 1}, copies
    assert re.search(r"flows: release \S+ active after .*, \d+ requests held for", run.output), run.output
    for tally in tallies.values():
        assert_unnoticed(tally, (), METHODS)
    for app in LOADED:
        after = Service(app, host).settled()
        assert after["current"] != before[app]["current"]
        assert after["previous"] == before[app]["current"]
    login = {"Authorization": "Basic " + base64.b64encode(b"ann:a-word-of-ann").decode()}
    assert json.loads(ask(address, "registry", "/-/whoami", **login)[1]) == {"username": "ann"}
    assert "kept" in ask(address, "flows", "/flows")[1]


@dataclass(frozen=True)
class Broken:
    """What is wrong with a release: a file, or variables that do not fit it; and what is said."""

    app: str
    said: str
    file: str = ""
    content: str = ""
    variables: dict[str, Any] = field(default_factory=dict)


BROKEN = (
    Broken("registry", "CONFIG: it does not look like a valid config file", "verdaccio/config.yaml", "storage: ["),
    Broken(
        "flows",
        "The program listens on TCP port 1881 and not where PORT says. Set pm2_listen_port: 1881",
        variables={"pm2_args": ["--userDir", "data", "--port", "1881"]},
    ),
    Broken(
        "accounts",
        "Error: the list of accounts can not be read",
        "express/server.js",
        "throw new Error('the list of accounts can not be read');\n",
    ),
    Broken("accounts", "Is service_health_path the right path?", variables={"service_health_path": "/nowhere"}),
    Broken("pages", "npm run build", "next/app/page.js", "export default function ("),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.app)
def test_a_release_that_can_not_work_is_refused(host: Host, address: str, tmp_path: Path, broken: Broken) -> None:
    service = Service(broken.app, host)
    before = service.settled()
    fixtures = release(tmp_path, "1.0.2")
    if broken.file:
        (fixtures / broken.file).write_text(broken.content, encoding="utf-8")
    variables = {"test_fixtures": str(fixtures), **IMPATIENT, **AT_ONCE, **broken.variables}
    with loaded(address) as tallies, counted_copies(host) as copies:
        run = play("deploy", f"--limit={broken.app}", **variables)
    assert run.code == 2, run.output
    assert max(copies) == 1
    assert broken.said in run.output
    for tally in tallies.values():
        assert_unnoticed(tally, (), METHODS)
    after = service.settled()
    assert [after[key] for key in ("active", "current", "previous")] == [
        before[key] for key in ("active", "current", "previous")
    ]
