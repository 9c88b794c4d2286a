# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.rollout import (
    HostState,
    batches,
    is_mixed,
    left_out,
    lost_hosts,
    participants,
    require_turn,
    rollback_target,
    standing,
    state_of,
)

LOST = HostState("two", problem="no route to host", unreachable=True)


def host(name: str, active: str, previous: str = "", *more: str) -> HostState:
    return HostState(name, active, previous, tuple(one for one in (active, previous, *more) if one))


def test_a_state_is_what_the_host_said_or_why_it_said_nothing() -> None:
    said = {"active": "b", "previous": "a", "releases": ["a", "b"]}
    assert state_of("one", said) == HostState("one", "b", "a", ("a", "b"))
    assert state_of("one", {"unreachable": True, "msg": "Task failed: no\nroute"}) == HostState(
        "one", problem="no route", unreachable=True
    )
    assert state_of("one", {"failed": False, "msg": "leaseed"}) == HostState("one", problem="leaseed")
    assert state_of("one", None).problem


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        (1, ["1"]),
        ("2", ["2"]),
        ("25%", ["25%"]),
        ([1, "50%"], ["1", "50%"]),
    ],
)
def test_batches_are_numbers_percentages_and_lists_of_them(serial: Any, expected: list[str]) -> None:
    assert batches(serial) == expected


@pytest.mark.parametrize("serial", [0, "half", "101%", [], ["1", "x"], None])
def test_what_is_no_batch_is_refused(serial: Any) -> None:
    with pytest.raises(StabilityError, match=r"deploy_serial = .*: expected a number of hosts"):
        batches(serial)


def test_a_fleet_is_mixed_where_its_hosts_run_different_releases() -> None:
    assert is_mixed([host("one", "b", "a"), host("two", "a")])
    assert not is_mixed([host("one", "b", "a"), host("two", "b", "c")])


def test_the_first_host_goes_alone_once() -> None:
    assert batches("50%", first_alone=True) == ["1", "50%"]
    assert batches([1, 5], first_alone=True) == ["1", "5"]


def test_an_unreachable_host_stops_the_run_or_is_left_out() -> None:
    hosts = [host("one", "a"), LOST]
    with pytest.raises(
        StabilityError, match=r"two: no route to host[\s\S]*--limit 'app:!two'[\s\S]*deploy_unreachable=skip"
    ):
        participants(hosts, "fail")
    assert participants(hosts, "skip") == hosts[:1]
    with pytest.raises(StabilityError, match="no host can be reached"):
        participants([LOST], "skip")


def test_a_host_that_another_run_has_is_never_left_out() -> None:
    with pytest.raises(StabilityError, match="one: Another run"):
        participants([HostState("one", problem="Another run has this host"), LOST], "skip")


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host("one", "b", "a")], "a"),
        ([host("one", "b", "a"), host("two", "b", "a")], "a"),
        # a deployment that stopped halfway: only what has the new release goes back
        ([host("one", "c", "b"), host("two", "b", "a"), host("three", "b", "a")], "b"),
        ([host("one", "b", "a"), host("two", "a")], "a"),
    ],
)
def test_all_go_back_to_one_release(hosts: list[HostState], expected: str) -> None:
    assert rollback_target(hosts, "") == expected


@pytest.mark.parametrize(
    ("hosts", "asked", "said"),
    [
        ([host("one", "a")], "", "no previous release"),
        ([host("one", "c", "b"), host("two", "c", "a")], "", r"not clear[\s\S]*two runs c, before it a"),
        # forward or back?
        ([host("one", "a", "b"), host("two", "b", "a")], "", "not clear"),
        ([host("one", "b", "a"), host("two", "b")], "a", r"a is not on every host[\s\S]*two has b"),
    ],
)
def test_what_is_not_clear_is_refused(hosts: list[HostState], asked: str, said: str) -> None:
    with pytest.raises(StabilityError, match=said):
        rollback_target(hosts, asked)


def test_a_named_release_is_taken_where_every_host_has_it() -> None:
    assert rollback_target([host("one", "c", "b", "a"), host("two", "c", "a")], "a") == "a"


def test_where_a_stopped_run_stands() -> None:
    before = [host("one", "a"), host("two", "a"), host("three", "a")]
    after = [host("one", "b", "a"), host("two", "a"), HostState("three", problem="no route", unreachable=True)]
    said = standing("two", before, after, ["fleet.yml"]).splitlines()
    assert said[:4] == [
        "Stopped at two. What serves now:",
        "  as before: release a on two",
        "  new: release b on one",
        "  not known: three: no route",
    ]
    assert said[-1].endswith("ansible-playbook -i fleet.yml workbot.stability.rollback -e rollback_release=a")


def test_where_nothing_has_changed_there_is_no_way_back() -> None:
    hosts = [host("one", "a"), host("two", "a")]
    said = standing("one", hosts, hosts, [])
    assert "as before: release a on one, two" in said
    assert "rollback" not in said


def test_a_first_release_has_nothing_to_go_back_to() -> None:
    said = standing("two", [host("one", ""), host("two", "")], [host("one", "a"), host("two", "")], [])
    assert "  as before: release none on two" in said
    assert "rollback" not in said


def test_what_was_left_out_is_told() -> None:
    assert "two: no route to host" in left_out([host("one", "a"), LOST])
    assert left_out([host("one", "a")]) == ""


def test_a_host_that_begins_its_turn_has_not_been_lost_until_it_is_gone() -> None:
    earlier = [host("one", "b"), LOST, host("three", "b"), HostState("four", problem="another run has it")]
    assert lost_hosts(earlier, ["one"]) == ["three"]


def test_a_turn_begins_where_no_earlier_host_was_lost_and_this_one_answers_or_may_be_left_out() -> None:
    require_turn(host("one", "b"), may_be_left_out=False, lost=[])
    require_turn(LOST, may_be_left_out=True, lost=[])
    with pytest.raises(StabilityError, match="two can't take its turn: no route to host"):
        require_turn(LOST, may_be_left_out=False, lost=[])
    with pytest.raises(StabilityError, match="another run has it"):
        require_turn(HostState("four", problem="another run has it"), may_be_left_out=True, lost=[])
    with pytest.raises(StabilityError, match=r"one keeps what it has: the connection to two, three was lost"):
        require_turn(host("one", "b"), may_be_left_out=True, lost=["two", "three"])
