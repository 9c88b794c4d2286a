# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate and the steps with their way back. systemd and PM2 are stand-ins; files, sockets, processes are real."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from activation_host import BOOT, GOOD, FakeSystemd, daemons, deploy, desiring, picture, processes, release, running
from ansible_collections.workbot.stability.plugins.module_utils._deploy import actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.links import make_directory
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.outcome import Outcome
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import decide
from ansible_collections.workbot.stability.plugins.module_utils._deploy.steps import Deployment
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import processes_of

BROKEN = {
    "never answers": ("deaf deaf", "no complete answer within 1 s"),
    "never listens": ("mute mute", "No such file or directory.*. Nothing listens: the program must listen on the path"),
    "unhealthy": ("500 500", "answered 500 instead of 200"),
    "one worker is deaf": ("200 deaf", r"bad/1\.sock: no complete answer within 1 s"),
    "one worker never listens": ("200 mute", r"nothing answers on \S+/bad/1\.sock: No such file or directory\n"),
    "one worker is unhealthy": ("200 503", r"worker 1 \(process \d+\): \S+ answered 503"),
    "one worker is missing": ("200", "1 of 2 workers are there"),
    "dies after its first answers": ("200#1 200", "ended after it had been healthy"),
    "gives up": ("exit 200", "worker 0 ended once\n"),
    "PM2 refuses": ("refuses", "no such script"),
}


def test_the_first_release(host: Context) -> None:
    release(host, "old", GOOD)
    outcome = deploy(host, "old")
    assert outcome.changed
    assert picture(host)["links"] == {"active": "old", "current": "old"}
    assert host.places.snapshot(Activation("old")).read_text() == "KEY=1\n"
    assert picture(host)["units"] == ["shop@old.service"]
    assert (host.places.active / "pm2").resolve() == host.places.pm2_home(Activation("old"))
    again = deploy(host, "")
    assert not again.changed


def test_the_next_release_takes_its_place_and_a_rollback_takes_it_back(served: Context) -> None:
    release(served, "new", GOOD)
    outcome = deploy(served, "new")
    assert picture(served)["links"] == {"active": "new", "current": "new", "previous": "old"}
    assert running(served) == ["shop-new"]
    assert [step["step"] for step in outcome.timeline][-2:] == ["stop old", "stop old"]
    deploy(served, "previous")
    assert picture(served)["links"] == {"active": "old", "current": "old", "previous": "new"}


def test_another_environment_is_another_activation_of_the_same_release(served: Context) -> None:
    served.places.environment.write_text("KEY=2\n")
    outcome = deploy(served, "")
    assert outcome.decision.reasons == ("environment file: KEY changed",)
    after = picture(served)
    assert after["links"] == {"active": "old@2", "current": "old"}
    assert after["units"] == ["shop@old@2.service"]
    assert [name for name in after["files"] if name.startswith(("activations/", "run/shop/"))] == [
        "activations/old@2",
        "activations/old@2/ecosystem.config.cjs",
        "activations/old@2/environment",
        "activations/old@2/options.json",
        "run/shop/old@2@0.sock",
        "run/shop/old@2@1.sock",
    ]


def test_other_options_are_kept_for_the_next_activation_and_start_none(served: Context) -> None:
    waiting = replace(served, kept='{"drain_time": 5}')
    assert deploy(waiting, "", check_mode=True).changed
    outcome = deploy(waiting, "")
    assert (outcome.changed, outcome.decision.action) == (True, "none")
    assert served.places.options_file(Activation("old")).read_text() == '{"drain_time": 5}'
    assert not deploy(waiting, "").changed


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_release_leaves_everything_as_it_was(served: Context, name: str) -> None:
    program, says = BROKEN[name]
    release(served, "bad", program)
    before = picture(served)
    with pytest.raises(ActivationError, match=says) as error:
        deploy(served, "bad")
    assert "Release old is active as before and answers healthily" in str(error.value)
    assert picture(served) == before
    assert served.places.release("bad").exists()


@pytest.mark.parametrize("point", ["before_start", "after_start", "before_switch", "after_switch", "before_stop"])
def test_a_command_that_fails_before_the_old_one_is_stopped_undoes_all(served: Context, point: str) -> None:
    release(served, "new", GOOD)
    failing = desiring(served, hooks={point: [["/bin/sh", "-c", "echo cold; exit 1"]]})
    before = picture(served)
    with pytest.raises(ActivationError, match=f"(?s)hook {point}.*cold"):
        deploy(failing, "new", discard_failed=True)
    assert picture(served) == before
    assert not served.places.release("new").exists()


def test_after_that_the_new_one_serves_whatever_a_command_says(served: Context) -> None:
    release(served, "new", GOOD)
    failing = desiring(served, hooks={"after_stop": [["/bin/false"]]})
    with pytest.raises(ActivationError, match="Release new is active and serves, but"):
        deploy(failing, "new", discard_failed=True)
    assert picture(served)["links"]["active"] == "new"
    assert served.places.release("new").exists()


def test_a_migration_runs_for_another_release_only_and_with_the_environment(served: Context) -> None:
    trace = served.places.releases.parent / "home/trace"
    command = ["/bin/sh", "-c", f"echo $DEPLOY_RELEASE $DEPLOY_PREVIOUS_RELEASE $KEY $PWD >> {trace}"]
    migrating = desiring(served, migrate=command)
    release(served, "new", GOOD)
    deploy(migrating, "new")
    served.places.environment.write_text("KEY=2\n")
    deploy(migrating, "new")
    assert trace.read_text() == f"new old 1 {served.places.release('new')}\n"


def test_a_failing_migration_starts_nothing(served: Context) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    with pytest.raises(ActivationError, match="Failed step: migrate"):
        deploy(desiring(served, migrate=["/bin/false"]), "new")
    assert picture(served) == before


def test_what_fails_after_a_migration_says_the_time_before_it(served: Context) -> None:
    release(served, "new", BROKEN["unhealthy"][0])
    trace = served.places.releases.parent / "home/trace"
    command = ["/bin/sh", "-c", f"date --iso-8601=ns > {trace}"]
    with pytest.raises(ActivationError, match="Failed step: wait until healthy") as error:
        deploy(desiring(served, migrate=command), "new")
    said = re.search(r"as it was before.* restore --time '([^']+)'", str(error.value))
    assert said
    before, migrated = (
        datetime.fromisoformat(said[1]),
        datetime.fromisoformat(trace.read_text().strip().replace(",", ".")),
    )
    assert timedelta(0) <= migrated - before < timedelta(seconds=5)
    with pytest.raises(ActivationError) as error:
        deploy(served, "new")
    assert "migration" not in str(error.value)


def test_a_new_one_that_dies_while_the_old_one_drains_gives_the_place_back(served: Context) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    dying = desiring(served, hooks={"after_switch": [["/usr/bin/touch", "die"]]})
    with ExitStack() as held:
        # the worker takes two seconds for each: on a busy machine the new one takes as long to end
        for _number in range(5):
            websocket = held.enter_context(socket.socket(socket.AF_UNIX))
            websocket.connect(str(served.places.link(Activation("old"))))
        with pytest.raises(ActivationError, match="Failed step: drain"):
            deploy(desiring(dying, drain_time=30), "new")
    assert picture(served) == before


def test_told_to_end_the_run_puts_everything_back(served: Context) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    kill = ["/bin/sh", "-c", f"kill -TERM {os.getpid()}; sleep 5"]
    ended = desiring(served, hooks={"before_switch": [kill]})
    with pytest.raises(ActivationError, match="told to end"):
        deploy(ended, "new")
    assert picture(served) == before
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("killed_after", ["start", "switch"])
def test_what_a_killed_run_left_is_swept_by_the_next(served: Context, killed_after: str) -> None:
    release(served, "new", GOOD)
    state = read_actual(served)
    decision = decide(served, "new", state)
    deployment = Deployment(served, state, Outcome(decision, state))
    make_directory(served, decision, len(state.sockets))
    deployment._start(decision.activation)
    if killed_after == "switch":
        deployment._switch(ExitStack())
    outcome = deploy(served, "old" if killed_after == "start" else "new")
    assert outcome.changed
    left = "old" if killed_after == "start" else "new"
    after = picture(served)
    assert after["links"]["active"] == left
    assert after["links"].keys() <= {"active", "current", "previous"}
    assert running(served) == [f"shop-{left}"]
    assert after["units"] == [f"shop@{left}.service"]
    assert [path.name for path in served.places.activations.iterdir()] == [left]
    assert not deploy(served, "").changed


def test_a_release_that_is_not_there_is_named_with_those_that_are(served: Context) -> None:
    with pytest.raises(ActivationError, match="release x is not on this host; these are: old"):
        deploy(served, "x")


def test_check_mode_predicts_and_changes_nothing(served: Context) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    outcome = deploy(served, "new", check_mode=True)
    assert (outcome.changed, outcome.decision and outcome.decision.action) == (True, "activate")
    assert picture(served) == before


def test_a_link_to_a_release_that_is_gone_is_told_and_removed(served: Context) -> None:
    served.places.previous.symlink_to(served.places.release("gone"))
    (links,) = deploy(served, "", check_mode=True).diff(served.places)
    assert "previous -> gone" in links["before"]
    assert "previous" not in links["after"]
    assert served.places.previous.is_symlink()
    assert deploy(served, "").changed
    assert not served.places.previous.is_symlink()
    assert not deploy(served, "").changed


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_tools_nothing_can_be_run(served: Context, check_mode: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(served.tools), "missing", "Node.js is not installed")
    with pytest.raises(ActivationError, match=r"Node\.js is not installed"):
        deploy(served, "", check_mode=check_mode)


def test_check_mode_asks_the_daemon_itself_where_the_run_would_bring_its_command(
    served: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(served.tools), "missing", "Node.js is not installed")
    served.places.environment.write_text("KEY=2\n")
    gone = replace(served, tools=replace(served.tools, node=str(served.places.directory / "gone/node")))
    outcome = deploy(gone, "", check_mode=True, tools_pending=True)
    assert outcome.decision.reasons == ("environment file: KEY changed", "another Node.js or PM2 would be installed")


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_a_release_there_is_nothing_to_run(served: Context, check_mode: bool) -> None:
    served.places.active.unlink()
    with pytest.raises(ActivationError, match="there is no release to run"):
        deploy(served, "", check_mode=check_mode)


def test_another_activation_can_be_asked_for_and_the_pm2_of_the_active_one_is_not_asked(
    served: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actual, "processes_of", pytest.fail)
    outcome = deploy(served, "", renews=True)
    assert outcome.decision.reasons == ("another one was asked for",)
    assert running(served) == ["shop-old@2"]


def test_a_pm2_that_is_gone_is_replaced_by_another_activation(served: Context, systemd: FakeSystemd) -> None:
    systemd.daemons["shop@old.service"].stop()
    assert processes(served) == [("shop-old", 0)] * 2
    outcome = deploy(served, "")
    assert outcome.decision.activation == Activation("old", 2)
    assert len(outcome.decision.reasons) == 1
    assert "no PM2 daemon runs" in outcome.decision.reasons[0]
    assert picture(served)["units"] == ["shop@old@2.service"]
    assert not deploy(served, "").changed


def test_another_nodejs_is_another_activation(served: Context, bin_directory: Path) -> None:
    other = replace(served, tools=replace(served.tools, node=str(bin_directory / "node")))
    (reason,) = deploy(other, "", check_mode=True).decision.reasons
    assert reason.startswith("Node.js: ")
    deploy(other, "")
    after = picture(served)
    assert after["links"]["active"] == "old@2"
    assert after["tools"]["old@2/bin"] == bin_directory
    assert not deploy(other, "").changed


def test_check_mode_expects_a_service_that_was_stopped_to_be_started_first(
    served: Context, systemd: FakeSystemd
) -> None:
    """The run has the boot unit started, and that the activation."""
    systemd.end()
    assert deploy(served, "", check_mode=True).decision.activation == Activation("old", 2)
    systemd.states[BOOT] = {"ActiveState": "inactive"}
    assert not deploy(served, "", check_mode=True).changed
    served.places.environment.write_text("KEY=2\n")
    assert deploy(served, "", check_mode=True).decision.reasons == ("environment file: KEY changed",)


def test_check_mode_predicts_another_activation_for_tools_that_would_be_installed(served: Context) -> None:
    (reason,) = deploy(served, "", check_mode=True, tools_pending=True).decision.reasons
    assert "would be installed" in reason


def test_a_directory_that_is_not_whole_is_replaced(served: Context) -> None:
    (served.places.active / "bin").unlink()
    outcome = deploy(served, "")
    assert outcome.decision.activation == Activation("old", 2)
    assert outcome.decision.reasons == (f"{served.places.of(Activation('old'))} is not whole",)


def test_a_worker_that_was_given_up_is_restarted_where_it_is(served: Context) -> None:
    (_name, first), (_same, second) = processes(served)
    os.kill(second, signal.SIGKILL)
    os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
    outcome = deploy(served, "")
    assert (outcome.decision.action, outcome.decision.activation) == ("restart", Activation("old"))
    assert len(outcome.decision.dead) == 1
    pids = [pid for _app, pid in processes(served)]
    assert first in pids
    assert second not in pids
    assert 0 not in pids


def test_a_step_of_the_watchdog_is_waited_for_and_not_repeated(served: Context) -> None:
    (_name, first), (_same, second) = processes(served)
    os.kill(second, signal.SIGKILL)
    os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
    client = served.client(Activation("old"))
    held = Event()

    def step() -> list[int]:
        with client.lock():
            held.set()
            time.sleep(1)
            (dead,) = (process.pm_id for process in processes_of(client) if process.dead)
            client.run("restart", str(dead))
            return [pid for _app, pid in processes(served)]

    with ThreadPoolExecutor() as threads:
        watchdog = threads.submit(step)
        assert held.wait(10)
        outcome = deploy(served, "")
    assert not outcome.changed
    assert [pid for _app, pid in processes(served)] == watchdog.result()
    assert first in watchdog.result()


def test_a_unit_that_runs_without_a_directory_is_stopped(served: Context) -> None:
    release(served, "new", GOOD)
    state = read_actual(served)
    decision = decide(served, "new", state)
    make_directory(served, decision, 0)
    Deployment(served, state, Outcome(decision, state))._start(decision.activation)
    shutil.rmtree(served.places.of(Activation("new")))
    assert read_actual(served).activations == ("new", "old")
    deploy(served, "")
    assert list(daemons(served)) == ["shop@old.service"]


@pytest.mark.parametrize("program", ["200", "500"])
def test_one_that_may_not_run_beside_it_takes_its_place_or_gives_it_back(
    host: Context, systemd: FakeSystemd, program: str
) -> None:
    single = desiring(host, overlap=False, app={**host.desired.app, "instances": 1})
    release(single, "old", "200")
    deploy(single, "old")
    release(single, "new", program)
    before = {**picture(single), "processes": []}
    systemd.told.clear()
    if program == "200":
        deploy(single, "new")
        assert picture(single)["units"] == ["shop@new.service"]
        # never two
        assert systemd.told[:2] == [("stop", "shop@old.service"), ("start", "shop@new.service")]
        return
    with pytest.raises(ActivationError, match="answered 500") as error:
        deploy(single, "new")
    assert "Not undone" not in str(error.value)
    assert "Release old is active as before and answers healthily" in str(error.value)
    assert {**picture(single), "processes": []} == before
    assert running(single) == ["shop-old"]


def test_check_mode_expects_the_users_group_to_be_put_right(served: Context) -> None:
    """Without it he can't read the release."""
    (served.places.release("old") / "server.js").chmod(0o600)
    with pytest.raises(ActivationError, match="can't be read by the user"):
        deploy(served, "", check_mode=True)
    other = replace(served, user=replace(served.user, gid=served.user.gid + 1))
    assert not deploy(other, "", check_mode=True).changed
    with pytest.raises(ActivationError, match="can't be read by the user"):
        deploy(other, "")
