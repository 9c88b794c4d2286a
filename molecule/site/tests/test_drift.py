# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`drift.yml` names what a run would change, and `--check` predicts it. Neither changes anything; the run repairs it.

On a host that is as declared drift.yml reports no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from database_drifts import TOLD
from drift_kinds import PSQL, Drift, do, unwell
from drifts import DRIFTS
from hosts import HOST, playbook
from prediction import differences, play, state, touched
from testinfra.host import Host

# The watchdog puts them right as well, and may have been first.
WATCHED = {"a process deleted"}


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


@pytest.fixture
def drifted(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """In every way at once."""
    assert unwell(host, DRIFTS) == []
    do(host, {what: drift.made for what, drift in DRIFTS.items()})
    assert unwell(host, DRIFTS) == list(DRIFTS)
    yield host
    if unwell(host, DRIFTS):
        play(tmp_path_factory.mktemp("repaired"))


def test_all_that_differs_is_named_and_becomes_what_check_mode_said(drifted: Host, tmp_path: Path) -> None:
    before = state(drifted)
    code, output, said = drift(tmp_path)
    compared = state(drifted)
    check = play(tmp_path, "--check")
    assert (touched(before, compared), touched(compared, state(drifted))) == ([], [])
    assert (code, said["state"]) == (2, "differs"), output
    assert [what for what, drift in DRIFTS.items() if not names(said, drift)] == [], said
    assert [difference for difference in said["differences"] if not difference["what"]] == []
    assert [what for what, drift in DRIFTS.items() if not drift.is_announced(check)] == []
    assert differences(check, play(tmp_path)) == []
    assert unwell(drifted, DRIFTS) == []
    assert play(tmp_path / "afterwards").changed == [], "the run has not repaired what it had said"


def test_a_role_that_nobody_can_log_in_as_does_not_stop_the_run_that_repairs_it(host: Host, tmp_path: Path) -> None:
    what = "a role with fewer connections"
    do(host, {what: DRIFTS[what].made.replace("50", "0")})
    play(tmp_path, "--tags=short_term")
    assert unwell(host, {what: DRIFTS[what]}) == []


def test_a_table_of_another_role_is_named_with_the_statement_that_gives_it_back(host: Host, tmp_path: Path) -> None:
    back = 'ALTER TABLE public.conversations OWNER TO "workbot"'
    do(host, {"a table's owner": f"{PSQL} 'ALTER TABLE conversations OWNER TO postgres'"})
    try:
        [found] = drift(tmp_path, "--tags=short_term")[2]["differences"]
    finally:
        do(host, {"its former owner": f"{PSQL} '{back}'"})
    assert f"public.conversations belongs to postgres: {back}" in found["what"]


def test_what_no_run_changes_is_told(host: Host, tmp_path: Path) -> None:
    do(host, {what: told.made for what, told in TOLD.items()})
    try:
        code, output, said = drift(tmp_path)
        run = play(tmp_path)
    finally:
        do(host, {what: told.undone for what, told in TOLD.items()})
    assert (code, said["differences"], run.changed) == (0, [], []), output
    assert [what for what, told in TOLD.items() if not any(told.says in text for text in said["told"])] == []
    assert output.count("    by hand: ") == len(TOLD)
    assert drift(tmp_path)[2]["told"] == []


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
        play(tmp_path, "--tags=immediate")
