# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`drift.yml` names what a run would change, changes nothing, and says of a host that is as declared that it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drifts import DRIFTS, Drift, do, unwell
from hosts import HOST, playbook
from prediction import play, state, touched
from testinfra.host import Host

# The watchdog puts them right as well, and may have been first.
WATCHED = {"a process deleted"}


@pytest.fixture(scope="module", autouse=True)
def declared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A deployment with variables of its own, as test_deploy.py's last, leaves its options to site.yml."""
    play(tmp_path_factory.mktemp("declared"))


def drift(folder: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what a person sees, and what is said of the host."""
    found = folder / "drift.json"
    run = playbook("workbot.stability.drift", {"drift_file": str(found)}, *options)
    output = run.communicate()[0]
    assert found.exists(), output
    return run.returncode, output, json.loads(found.read_text())["hosts"][HOST]


def names(said: dict[str, Any], drift: Drift) -> bool:
    return any(difference["task"].startswith(drift.task) for difference in said["differences"])


def test_a_host_as_declared_is_said_to_be(host: Host, tmp_path: Path) -> None:
    before = state(host)
    code, output, said = drift(tmp_path)
    assert (code, said["state"], said["differences"]) == (0, "as declared", []), output
    assert f"{HOST}  as declared" in output
    assert touched(before, state(host)) == []


def test_all_that_differs_is_named_and_nothing_is_changed(host: Host, tmp_path: Path) -> None:
    do(host, {what: drift.made for what, drift in DRIFTS.items()})
    try:
        before = state(host)
        code, output, said = drift(tmp_path)
        assert (code, said["state"]) == (2, "differs"), output
        assert [what for what, drift in DRIFTS.items() if not names(said, drift)] == [], said
        assert [difference for difference in said["differences"] if not difference["what"]] == []
        assert touched(before, state(host)) == []
    finally:
        play(tmp_path)
    assert unwell(host, DRIFTS) == []
    assert drift(tmp_path)[2]["differences"] == []


@pytest.mark.soak
@pytest.mark.parametrize("what", DRIFTS)
def test_each_drift_alone_is_named_and_put_right(host: Host, tmp_path: Path, what: str) -> None:
    do(host, {what: DRIFTS[what].made})
    try:
        code, output, said = drift(tmp_path)
    finally:
        run = play(tmp_path)
    assert (code, names(said, DRIFTS[what])) == (2, True), output
    assert run.changed != [] or what in WATCHED
    assert unwell(host, DRIFTS) == []


def test_tags_choose_what_is_compared(host: Host, tmp_path: Path) -> None:
    deleted, before = "a line of cron deleted", host.check_output("date --utc '+%F %T'")
    do(host, {deleted: DRIFTS[deleted].made})
    try:
        assert drift(tmp_path, "--tags=short_term")[2]["differences"] == []
        [found] = drift(tmp_path, "--tags=immediate")[2]["differences"]
        assert found["role"] == "diagnostics"
        assert found["what"] == "/etc/cron.d/workbot-diagnose"
        assert found["since"] >= before
    finally:
        play(tmp_path)
