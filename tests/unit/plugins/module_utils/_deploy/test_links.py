# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root makes of an activation: its directory, and links to its workers' sockets; whose sockets are whose."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from activation_host import deploy, picture
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.links import (
    connections_of,
    link_sockets,
    listens,
    make_directory,
    make_public,
    remove_sockets,
    socket_files,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, Places
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import Decision

V14, V141, V14_2 = Activation("v1.4"), Activation("v1.4.1"), Activation("v1.4", 2)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "run").mkdir()
    found = Places.below(tmp_path, "shop", tmp_path / "run")
    make_public(found.of(V14))
    return found


def decided(places: Places, activation: Activation, instances: int) -> Decision:
    sockets = tuple(places.socket(activation, number) for number in range(instances))
    return Decision("none", activation, (), (), (), sockets, "", "")


def led_to(places: Places, activation: Activation) -> dict[str, Path]:
    return {path.name: path.readlink() for path in places.of(activation).iterdir()}


def test_each_worker_s_socket_has_a_name_by_its_number(places: Places) -> None:
    link_sockets(places, decided(places, V14, 2), 0)
    first, second = places.run / "v1.4@0.sock", places.run / "v1.4@1.sock"
    assert led_to(places, V14) == {"0.sock": first, "1.sock": second}
    assert places.link(V14, 1).readlink() == second


def test_names_beyond_the_workers_lead_to_one_of_them_each(places: Places) -> None:
    """A proxy that knows of five asks all five."""
    link_sockets(places, decided(places, V14, 2), 5)
    sockets = [places.socket(V14, number) for number in (0, 1, 0, 1, 0)]
    assert led_to(places, V14) == {f"{number}.sock": path for number, path in enumerate(sockets)}


def test_fewer_names_than_workers_are_not_enough(places: Places) -> None:
    link_sockets(places, decided(places, V14, 3), 1)
    assert sorted(led_to(places, V14)) == ["0.sock", "1.sock", "2.sock"]


def test_the_proxy_can_go_through_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_public(tmp_path / "activations/v1.4")
        (tmp_path / "activations").chmod(0o700)
        make_public(tmp_path / "activations/v1.4")
    finally:
        os.umask(before)
    for name in ("activations", "activations/v1.4"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o755


def test_links_that_are_right_are_left_as_they_are(places: Places) -> None:
    link_sockets(places, decided(places, V14, 2), 0)
    before = {path.name: path.lstat().st_ino for path in places.of(V14).iterdir()}
    places.link(V14, 1).unlink()
    places.link(V14, 1).symlink_to("/elsewhere")
    link_sockets(places, decided(places, V14, 2), 0)
    assert places.link(V14, 1).readlink() == places.socket(V14, 1)
    assert places.link(V14, 0).lstat().st_ino == before["0.sock"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("v1.4@0.sock", V14),
        ("v1.4@12.sock", V14),
        ("v1.4@0.12345", V14),
        ("v1.4.sock", None),
        ("v1.4.1@0.sock", V141),
        ("v1.4.1@0.1", V141),
        ("v1.4@2@1.sock", V14_2),
        ("v1.4@2@1.77", V14_2),
        ("v1.4.metrics.sock", None),
        ("v1.sock", None),
        ("metrics.sock", None),
    ],
)
def test_whose_socket_it_is(places: Places, name: str, owner: Activation | None) -> None:
    """Releases are named as people like: one name may begin with another."""
    path = places.run / name
    assert [one for one in (V14, V141, V14_2) if places.is_socket_of(one, path)] == ([owner] if owner else [])
    assert not any(places.is_socket_of(one, path.parent / "below" / name) for one in (V14, V141, V14_2))


def made(host: Context, names: int = 0) -> Path:
    """The directory of activation v1.4@2, whose decision has two workers."""
    decision = replace(decided(host.places, V14_2, 2), config="// its app\n")
    make_directory(host, decision, names)
    return host.places.of(V14_2)


def test_a_directory_has_all_that_its_unit_starts_from(host: Context, tmp_path: Path) -> None:
    toolchain = tmp_path / "versions/24/bin"
    toolchain.mkdir(parents=True)
    (tmp_path / "bin").symlink_to(toolchain)
    directory = made(replace(host, tools=replace(host.tools, node=str(tmp_path / "bin/node"))))
    assert (directory / "environment").read_text() == host.places.environment.read_text()
    assert (directory / "ecosystem.config.cjs").read_text() == "// its app\n"
    # whatever is installed later
    assert (directory / "bin").readlink() == toolchain
    assert (directory / "pm2").readlink() == host.places.pm2_home(V14_2) == tmp_path / "run/shop@v1.4@2"
    assert {path.name for path in directory.iterdir()} == {
        *("environment", "ecosystem.config.cjs", "options.json", "bin", "pm2"),
        *("0.sock", "1.sock"),
    }


def test_the_proxy_goes_through_it_and_only_the_service_reads_the_environment(host: Context) -> None:
    before = os.umask(0o077)
    try:
        directory = made(host)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory)}
    assert modes == {"activations": 0o755, "v1.4@2": 0o755}
    for name, mode in (("environment", 0o600), ("ecosystem.config.cjs", 0o640)):
        assert stat.S_IMODE((directory / name).stat().st_mode) == mode


def test_a_directory_that_is_half_made_is_completed_and_a_whole_one_left_as_it_is(host: Context) -> None:
    directory = made(host)
    before = {path.name: path.lstat().st_ino for path in directory.iterdir()}
    (directory / "bin").unlink()
    (directory / "environment").unlink()
    made(host)
    again = {path.name: path.lstat().st_ino for path in directory.iterdir()}
    assert again.keys() == before.keys()
    assert {name for name in before if again[name] != before[name]} <= {"bin", "environment"}
    made(host, names=3)
    assert {path.name for path in directory.iterdir()} - before.keys() == {"2.sock"}


@pytest.fixture
def bound(places: Places) -> Iterator[dict[Activation, socket.socket]]:
    """Sockets of three activations, each bound beside its name and renamed, as workers do it."""
    with ExitStack() as stack:
        found = {}
        for activation in (V14, V141, V14_2):
            found[activation] = stack.enter_context(socket.socket(socket.AF_UNIX))
            beside = places.socket(activation).with_suffix(f".{os.getpid()}")
            found[activation].bind(str(beside))
            beside.rename(places.socket(activation))
        yield found


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def test_connections_are_counted_by_the_name_that_was_bound(
    places: Places, bound: dict[Activation, socket.socket]
) -> None:
    assert not listens(places, V14)
    bound[V14].listen()
    bound[V14_2].listen()
    assert [listens(places, one) for one in (V14, V141, V14_2)] == [True, False, True]
    with connected(places.socket(V14)), connected(places.socket(V14)), connected(places.socket(V14_2)):
        accepted, _address = bound[V14].accept()
        with accepted:
            assert [connections_of(places, one) for one in (V14, V141, V14_2)] == [2, 0, 1]
            # its name is gone, but who is connected is still to be waited for
            places.socket(V14).unlink()
            assert connections_of(places, V14) == 2


@pytest.mark.usefixtures("bound")
def test_all_that_workers_leave_is_found(places: Places) -> None:
    half = places.run / "v1.4@1.4711"
    half.touch()
    (places.run / "v1.4.sock").touch()
    (places.run / "metrics.sock").touch()
    assert set(socket_files(places, V14)) == {places.socket(V14), half}
    assert socket_files(places, V14_2) == [places.socket(V14_2)]


def test_whatever_is_in_the_place_of_a_socket_is_removed_and_no_link_is_followed(
    places: Places, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    (foreign / "kept").mkdir(parents=True)
    below = places.socket(V14) / "below/deeper"
    below.mkdir(parents=True)
    (below / "link").symlink_to(foreign)
    (below.parent / "file").touch()
    places.socket(V14, 1).symlink_to(foreign)
    os.mkfifo(places.socket(V14, 2))
    own = places.socket(V141)
    own.mkdir()
    remove_sockets(places, V14)
    assert list(places.run.iterdir()) == [own]
    assert (foreign / "kept").is_dir()


@pytest.mark.parametrize("name", ["old@0.sock", "old@9.sock", "old@2@0.sock", "old@2@9.sock"])
def test_a_directory_in_the_place_of_a_socket_stops_no_deployment(served: Context, name: str) -> None:
    """That of the old activation, whose worker's name it takes, and one that waits for the next activation."""
    place = served.places.run / name
    place.unlink(missing_ok=True)
    (place / "below").mkdir(parents=True)
    served.places.environment.write_text("KEY=2\n")
    assert deploy(served, "").changed
    assert sorted(path.name for path in served.places.run.iterdir()) == ["old@2@0.sock", "old@2@1.sock"]
    assert not deploy(served, "").changed


def test_a_service_s_own_sockets_stay(served: Context) -> None:
    own = served.places.run / "metrics.sock"
    own.touch()
    served.places.environment.write_text("KEY=2\n")
    deploy(served, "")
    assert sorted(path.name for path in served.places.run.iterdir()) == ["metrics.sock", "old@2@0.sock", "old@2@1.sock"]
    assert not deploy(served, "").changed


@pytest.mark.parametrize("damage", ["gone", "elsewhere", "all gone"])
def test_a_link_that_is_not_right_is_put_right_without_touching_a_process(served: Context, damage: str) -> None:
    before = picture(served)
    link = served.places.link(Activation("old"), 1)
    link.unlink()
    if damage == "elsewhere":
        link.symlink_to("/elsewhere")
    elif damage == "all gone":
        served.places.link(Activation("old"), 0).unlink()
    (links,) = deploy(served, "", check_mode=True).diff(served.places)
    assert f"active/1.sock -> {served.places.socket(Activation('old'), 1)}\n" in links["after"]
    assert links["before"] != links["after"]
    assert picture(served) != before
    outcome = deploy(served, "")
    assert (outcome.changed, outcome.decision.action) == (True, "none")
    assert picture(served) == before
    assert not deploy(served, "").changed


def test_more_names_than_workers_are_no_difference_and_the_next_one_has_as_many(served: Context) -> None:
    old = Activation("old")
    link_sockets(served.places, decided(served.places, old, 2), 3)
    assert not deploy(served, "").changed
    state = read_actual(served)
    assert state.sockets == tuple(served.places.socket(old, number) for number in (0, 1, 0))
    served.places.environment.write_text("KEY=2\n")
    deploy(served, "")
    new = Activation("old", 2)
    assert [served.places.link(new, number).readlink() for number in range(3)] == [
        served.places.socket(new, number) for number in (0, 1, 0)
    ]
    assert not served.places.of(old).exists()
