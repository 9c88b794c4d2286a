# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments host by host: under load, stopped halfway, with a bad canary, with a host that dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import AT_ONCE, assert_unnoticed, release, wait
from fleet import APPS, PROXIES
from fleet_deployments import WATCHFUL, loaded, nginx_workers, play, releases, set_up, start, succeed
from hosts import host_of, power_off, power_on, reached
from waiting import until

REACHED = "/srv/shop/shared/step"
# 1001 is what a WebSocket is told whose process stops
GOING_AWAY = (1001,)


@pytest.fixture(autouse=True, scope="module")
def shop() -> Iterator[None]:
    """The shop is there, and at the end so are all hosts."""
    set_up()
    yield
    power_on(*APPS)
    for name in APPS:
        until(f"{name} is back", lambda name=name: reached(host_of(name)))


def on_one_host(name: str, then: str) -> dict[str, list[list[str]]]:
    """A command before the switch that does something on one host alone."""
    return {"before_switch": [["/bin/sh", "-c", f'[ "$(hostname)" != {name} ] || {{ {then}; }}']]}


def test_forward_and_back_under_load_without_a_failed_request(tmp_path: Path) -> None:
    before = releases()
    workers = {proxy: nginx_workers(proxy) for proxy in PROXIES}
    with loaded() as tallies:
        succeed("deploy", release_directory=release(tmp_path, "forward"))
        after = releases()
        succeed("rollback")
    for tally in tallies:
        assert_unnoticed(tally, GOING_AWAY)
        assert "forward" in tally["releases"]
    assert len(set(after)) == 1
    assert after != before
    assert releases() == before
    # nothing was reloaded
    assert {proxy: nginx_workers(proxy) for proxy in PROXIES} == workers


def test_what_fails_on_the_second_host_stops_there_and_is_taken_back(tmp_path: Path) -> None:
    before = releases()
    source = release(tmp_path, "second")
    with loaded() as tallies:
        run = play("deploy", release_directory=source, pm2_hooks=on_one_host(APPS[1], "exit 1"), pm2_drain_time=8)
        halfway = releases()
        mixed = play("check")
        succeed("rollback", **AT_ONCE)
    for tally in tallies:
        assert_unnoticed(tally, GOING_AWAY)
    assert run.code == 2
    assert f"Stopped at {APPS[1]}." in run.output
    assert f"as before: release {before[0]} on {APPS[1]}, {APPS[2]}" in run.output
    assert f"new: release {halfway[0]} on {APPS[0]}" in run.output
    assert f"workbot.stability.rollback -e rollback_release={before[0]}" in run.output
    assert halfway[0] != before[0]
    assert halfway[1:] == before[1:]
    assert "The hosts run different releases" in mixed.output
    assert releases() == before


def test_a_canary_that_turns_bad_is_put_back(tmp_path: Path) -> None:
    """It is well until the deployment on its host is over."""
    before = releases()
    source = release(tmp_path, "canary", "fails when told")
    told = {"after_stop": [["/bin/sh", "-c", "touch /srv/shop/shared/fail"]]}
    variables = {"release_directory": source, "pm2_hooks": told, "deploy_canary": True, "deploy_canary_wait": 30}
    try:
        with loaded():
            run = play("deploy", **variables, **AT_ONCE)
    finally:
        host_of(APPS[0]).check_output("rm -f /srv/shop/shared/fail")
    assert run.code == 2
    assert "turned bad as the canary" in run.output
    assert "requests were answered with an error" in run.output
    assert f"as before: release {before[0]} on {', '.join(APPS)}" in run.output
    assert releases() == before


def test_a_good_canary_is_watched_and_the_others_follow(tmp_path: Path) -> None:
    began = time.monotonic()
    source = release(tmp_path, "good-canary")
    succeed("deploy", release_directory=source, deploy_canary=True, deploy_canary_wait=8, deploy_serial=2, **AT_ONCE)
    assert time.monotonic() - began > 8
    assert len(set(releases())) == 1


def test_a_canary_whose_watch_was_killed_is_watched_by_the_next_run(tmp_path: Path) -> None:
    before = releases()
    source = release(tmp_path, "unwatched", "fails when told")
    variables = {"release_directory": source, "deploy_canary": True, **AT_ONCE}
    running = start("deploy", **variables, deploy_canary_wait=300)
    assert running.stdout
    assert any("Watch the canary" in line for line in running.stdout)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=10)
    assert releases()[0] != before[0]
    try:
        host_of(APPS[0]).check_output("touch /srv/shop/shared/fail")
        with loaded():
            run = play("deploy", **variables, deploy_canary_wait=30)
        assert run.code == 2
        assert "turned bad as the canary" in run.output
        assert releases()[1:] == before[1:]
    finally:
        host_of(APPS[0]).check_output("rm -f /srv/shop/shared/fail")
        succeed("rollback", rollback_release=before[0], **AT_ONCE)
    assert releases() == before


def test_a_host_that_dies_in_the_middle_and_what_comes_after(tmp_path: Path) -> None:
    before = releases()
    lost, others = APPS[1], (APPS[0], APPS[2])
    rest = on_one_host(lost, f"touch {REACHED}; sleep 60")
    source = release(tmp_path, "lost")
    running = start("deploy", release_directory=source, pm2_hooks=rest, environment=WATCHFUL, **AT_ONCE)
    until("the second host is at work", lambda: host_of(lost).file(REACHED).exists, 180)
    # meanwhile another controller, or another terminal, begins
    second = play("deploy", release_directory=source, **AT_ONCE)
    power_off(lost)
    stopped = wait(running)
    assert stopped.code == 2
    assert "The connection to the host was lost" in stopped.output
    assert f"not known: {lost}" in stopped.output
    assert f"as before: release {before[2]} on {APPS[2]}" in stopped.output
    assert second.code == 2
    assert f"{APPS[2]}: Another run has this host" in second.output

    refused = play("deploy", release_directory=source, **AT_ONCE)
    assert refused.code == 2
    assert f"Nothing was changed. These hosts can't take part: {lost}:" in refused.output
    assert "deploy_unreachable=skip" in refused.output

    skipped = succeed("deploy", release_directory=source, deploy_unreachable="skip", **AT_ONCE)
    assert f"Left out, because they can't be reached (the next run brings them up to date): {lost}" in skipped.output
    new = {name: host_of(name).check_output("readlink /srv/shop/active") for name in others}
    assert len(set(new.values())) == 1

    power_on(lost)
    until(f"{lost} is back", lambda: reached(host_of(lost)))
    host_of(lost).check_output(f"rm -f {REACHED}")
    succeed("deploy", release_directory=source, **AT_ONCE)
    assert len(set(releases())) == 1
    assert releases() != before
