# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules `pm2_app` and `pm2_info` on a PM2 of their own, whole and broken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from hosts import put
from own_pm2 import (
    APP,
    BIN,
    CONFIG,
    CONNECTION,
    FORK,
    HOME,
    OTHER,
    PM2_HOME,
    SECRET,
    UNIT,
    UNIT_FILE,
    USER,
    Pm2,
    app,
    converge,
    listed,
    module,
    own_pm2,
)
from testinfra.host import Host


@pytest.fixture(scope="module", autouse=True)
def pm2(host: Host) -> Iterator[Pm2]:
    yield from own_pm2(host)


@pytest.fixture
def empty(pm2: Pm2) -> Iterator[None]:
    """Whatever a test has started is gone afterwards."""
    yield
    names = sorted({process["name"] for process in listed(pm2)})
    converge([{"name": name} for name in names], state="absent")


@pytest.mark.usefixtures("empty")
def test_stopped_apps_stay_stopped_after_a_boot(host: Host, pm2: Pm2) -> None:
    apps = [app("s-one", instances=2), app("s-two")]
    converge(apps)
    assert converge([{"name": "s-one"}], "--check", state="stopped").steps() == {"s-one": "stop"}
    assert {process["pm2_env"]["status"] for process in listed(pm2)} == {"online"}
    assert converge([{"name": "s-one"}], state="stopped").steps() == {"s-one": "stop"}
    assert not converge([{"name": "s-one"}], state="stopped").result["changed"]
    host.check_output(f"systemctl restart {UNIT}")
    pm2(f"start {CONFIG}")
    states = {(process["name"], process["pm2_env"]["status"]) for process in listed(pm2)}
    assert states == {("s-one", "stopped"), ("s-two", "online")}
    converge(apps)
    assert {process["pm2_env"]["status"] for process in listed(pm2)} == {"online"}
    assert not converge(apps).result["changed"]


@pytest.mark.parametrize(("state", "action"), [("restarted", "restart"), ("reloaded", "reload")])
@pytest.mark.usefixtures("empty")
def test_what_is_asked_for_is_done_each_time(state: str, action: str) -> None:
    apps = [app("r-one"), app("r-two", **FORK)]
    before = converge(apps).pids()
    after = converge(apps, state=state)
    assert after.steps() == {"r-one": action, "r-two": action}
    assert after.pids().keys() == before.keys()
    assert not set(after.pids().values()) & set(before.values())
    assert converge(apps, "--check", state=state).result["changed"] is True


@pytest.mark.usefixtures("empty")
def test_a_job_that_is_done_is_left_alone(pm2: Pm2) -> None:
    jobs = [
        app("j-once", script="job.js", autorestart=False, **FORK),
        app("j-code", script="job.js", args=["3"], stop_exit_codes=[3], **FORK),
    ]
    converge(jobs)
    assert {process["pm2_env"]["status"] for process in listed(pm2)} == {"stopped"}
    assert not converge(jobs).result["changed"]
    # on a busy host it may run for seconds before it fails
    failing = converge([app("j-once", script="job.js", args=["1"], autorestart=False, **FORK)], fails=True, stay_up=30)
    assert "j-once (" in failing.result["msg"]


ECOSYSTEM = {
    "apps": [
        {
            "name": "e-one",
            "exec": "app.js",
            "args": "--one 'two words'",
            "instances": 2,
            "listenTimeout": 300,
            "env": {"LETTER": "a"},
            "env_production": {"LETTER": SECRET, "PORT": 3998},
        }
    ]
}
AS_TEXT = {
    "json": (f"{APP}/eco.json", json.dumps(ECOSYSTEM)),
    "commonjs": (f"{APP}/eco.config.cjs", f"console.log('read'); module.exports = {json.dumps(ECOSYSTEM)};"),
    "module": (f"{APP}/eco.config.mjs", f"export default {json.dumps(ECOSYSTEM)};"),
    "yaml": (f"{APP}/eco.yml", json.dumps(ECOSYSTEM, indent=2)),
}


@pytest.mark.usefixtures("empty")
def test_an_ecosystem_file_in_any_form_is_the_same_declaration(host: Host, pm2: Pm2) -> None:
    given = {"config_file": CONFIG, "group": USER, "stay_up": 0.5, "environment": "production", **CONNECTION}
    for number, (path, text) in enumerate(AS_TEXT.values()):
        put(host, path, text)
        run = module("pm2_app", {**given, "ecosystem": path}, "-vvv")
        assert run.result["changed"] is (number == 0), path
        assert SECRET not in run.output
    found = [process["pm2_env"] for process in listed(pm2)]
    assert [(item["name"], item["exec_mode"], item["args"]) for item in found] == [
        ("e-one", "cluster_mode", ["--one", "two words"])
    ] * 2
    assert {(item["pm_cwd"], item["env"]["LETTER"], item["env"]["PORT"]) for item in found} == {(APP, SECRET, "3998")}
    unknown = module("pm2_app", {**given, "ecosystem": AS_TEXT["json"][0], "environment": "staging"}, fails=True)
    assert "has no env_staging; it has production" in unknown.result["msg"]
    put(host, AS_TEXT["json"][0], AS_TEXT["json"][1].replace("listenTimeout", "listenTimout"))
    misspelt = module("pm2_app", {**given, "ecosystem": AS_TEXT["json"][0]}, fails=True)
    assert "no field listen_timout and would pass over it; did you mean listen_timeout?" in misspelt.result["msg"]


@pytest.mark.usefixtures("empty")
def test_no_environment_is_printed_however_talkative_ansible_is(host: Host) -> None:
    apps = [app("v-one", env={"TOKEN": SECRET})]
    for run in (converge(apps, "-vvv"), converge(apps, "-vvv"), module("pm2_info", CONNECTION, "-vvv")):
        assert SECRET not in run.output.partition("=> {")[2]
    assert SECRET not in host.check_output("journalctl --no-pager --quiet --since=-5min --grep='Invoked with'")


@pytest.mark.parametrize("address", ["3997", f"{HOME}/held.sock"])
@pytest.mark.usefixtures("empty")
def test_an_address_in_use_names_who_holds_it(host: Host, address: str) -> None:
    host.check_output(f"systemd-run --unit=holder --uid={USER} {BIN}/node {APP}/server.js {address}")
    try:
        (error,) = [f"{HOME}/server-error.log"]
        server = app("h-one", script="server.js", args=[address], error_file=error, merge_logs=True, **FORK)
        failed = converge([server], fails=True, wait=30, stay_up=5)
        pid = host.check_output("systemctl show --property=MainPID --value holder")
        assert f"held by process {pid} of the user {USER} ({BIN}/node {APP}/server.js" in failed.result["msg"]
        assert "EADDRINUSE" in failed.result["msg"]
    finally:
        host.check_output("systemctl stop holder")


@pytest.mark.usefixtures("empty")
def test_a_damaged_saved_list_is_said_and_written_anew(host: Host) -> None:
    apps = [app("d-one")]
    before = converge(apps).pids()
    for text, state in (('[{"name": "d-on', "damaged"), ("[]", "another")):
        put(host, f"{PM2_HOME}/dump.pm2", text)
        assert module("pm2_info", CONNECTION).result["saved_list"] == state
        assert converge(apps, "--check").result["saved_list"] == state
        run = converge(apps)
        assert ("dump.pm2) was damaged" in run.output) == (state == "damaged")
        assert (run.result["saved"], run.steps(), run.pids()) == (True, {}, before)
        assert module("pm2_info", CONNECTION).result["saved_list"] == "current"


@pytest.mark.usefixtures("empty")
def test_a_lock_that_a_killed_reload_left_stops_nothing(host: Host) -> None:
    converge([app("l-one")])
    put(host, f"{PM2_HOME}/reload.lock", str(int(time.time() * 1000)))
    assert converge([app("l-one", args=["new"])]).steps() == {"l-one": "reload"}
    host.check_output(f"rm -f {PM2_HOME}/reload.lock")


def test_a_daemon_that_does_not_answer_is_an_error_in_seconds(host: Host) -> None:
    pid = host.check_output(f"cat {PM2_HOME}/pm2.pid")
    began = time.monotonic()
    host.check_output(f"kill -STOP {pid}")
    try:
        said = converge([app("w-one")], fails=True).result["msg"]
        assert module("pm2_info", CONNECTION).result["problem"] == said
    finally:
        host.check_output(f"kill -CONT {pid}")
    assert said == (
        f"PM2's daemon (process {pid}) was stopped by a signal and answers nothing:"
        f" continue it (kill -CONT {pid}) or restart its unit (systemctl restart {UNIT})"
    )
    host.check_output(f"mv {PM2_HOME}/rpc.sock {PM2_HOME}/rpc.away")
    try:
        said = converge([app("w-one")], fails=True).result["msg"]
    finally:
        host.check_output(f"mv {PM2_HOME}/rpc.away {PM2_HOME}/rpc.sock")
    assert f"can't be reached at {PM2_HOME}/rpc.sock" in said
    assert f"systemctl restart {UNIT}" in said
    # neither waited for the two minutes that a command may take
    assert time.monotonic() - began < 100
    # none was started beside it
    assert host.check_output(f"pgrep -u {USER} -f 'God Daemon'") == pid


def test_without_a_daemon_none_is_started(host: Host) -> None:
    host.check_output(f"systemctl stop {UNIT}")
    try:
        assert "no PM2 daemon runs" in converge([app("n-one")], fails=True).result["msg"]
        assert converge([app("n-one")], "--check").steps() == {"n-one": "start"}
        assert module("pm2_info", CONNECTION).result["daemon"] is None
        assert host.run(f"pgrep -u {USER}").stdout == ""
        missing = converge([app("n-one")], fails=True, pm2="/nowhere/pm2")
        assert missing.result["msg"] == "PM2 is not installed: /nowhere/pm2 is not there or not executable"
    finally:
        host.check_output(f"systemctl start {UNIT}")


@pytest.mark.parametrize("owner", ["unit", "nobody"])
@pytest.mark.usefixtures("empty")
def test_an_outdated_daemon_is_updated_and_loses_nothing(host: Host, pm2: Pm2, owner: str) -> None:
    installed = host.check_output(f"readlink -f {BIN}").rpartition("/")[0]
    host.check_output(f"rm -rf {OTHER} && cp -a {installed} {OTHER}")
    package = f"{OTHER}/node_modules/pm2/package.json"
    version = json.loads(host.file(package).content_string)["version"]
    host.check_output(f"""sed -i 's/"version": "{version}"/"version": "6.9.9"/' {package}""")
    unit = f"/etc/systemd/system/{UNIT}"
    host.check_output(f"systemctl stop {UNIT}")
    if owner == "unit":
        put(host, unit, UNIT_FILE.replace("@bin@", f"{OTHER}/bin"))
        host.check_output(f"systemctl daemon-reload && systemctl start {UNIT}")
        put(host, unit, UNIT_FILE.replace("@bin@", BIN))
        host.check_output("systemctl daemon-reload")
    else:
        start = f"env -i HOME={HOME} PM2_HOME={PM2_HOME} PATH={OTHER}/bin:/usr/bin:/bin {OTHER}/bin/pm2 ping"
        host.check_output(f"cd / && setpriv --reuid {USER} --regid {USER} --clear-groups {start}")
    apps = [app("u-one", instances=2), app("u-two", **FORK)]
    run = converge(apps)
    assert "runs another PM2 or Node.js than the one installed now" in run.output
    assert run.result["outdated_daemon"] is True
    # what was started by hand is not lost either
    pm2(f"start {APP}/other.js --name u-hand --cwd {APP}")
    daemon = module("pm2_info", CONNECTION).result["daemon"]
    assert (daemon["pm2"], daemon["installed_pm2"], daemon["outdated"]) == ("6.9.9", version, True)
    assert daemon["unit"] == (UNIT if owner == "unit" else "")
    assert list(converge(apps, "--check", update_daemon=True).steps().values()) == ["update"]
    updated = converge(apps, update_daemon=True)
    assert list(updated.steps().values()) == ["update"]
    assert updated.result["outdated_daemon"] is False
    now = module("pm2_info", CONNECTION).result
    assert (now["daemon"]["pm2"], now["daemon"]["outdated"], now["saved_list"]) == (version, False, "current")
    assert sorted(item["name"] for item in now["processes"]) == ["u-hand", "u-one", "u-one", "u-two"]
    assert {item["status"] for item in now["processes"]} == {"online"}
    assert not converge(apps, update_daemon=True).result["changed"]
