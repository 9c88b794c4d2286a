# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a service's activations is found on a host."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from activation_host import FakeSystemd, config, deploy, processes
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active, read_actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import (
    Activation,
    ActivationError,
    Places,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import predicted
from ansible_collections.workbot.stability.plugins.module_utils._pm2 import client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from leases import leased

OLD = Activation("old")


def test_a_host_on_which_nothing_was_deployed(host: Context) -> None:
    found = read_actual(host)
    assert (found.active, found.config, found.app, found.live, found.broken) == (None, "", {}, (), ())
    assert (found.sockets, found.activations, found.active_environment) == ((), (), None)
    assert found.environment == {"KEY": "1"}
    shutil.rmtree(host.places.activations)
    assert read_actual(host).activations == ()


def test_what_is_active_is_read_where_root_has_put_it(served: Context) -> None:
    found = read_actual(served)
    assert (found.active, found.current, found.previous, found.releases) == (OLD, "old", "", ("old",))
    assert found.config == config(served, "old")
    assert found.app["name"] == "shop-old"
    assert [(process.name, process.pid) for process in found.live] == processes(served)
    assert found.broken == ()
    assert found.sockets == (served.places.socket(OLD, 0), served.places.socket(OLD, 1))
    assert (found.activations, found.active_environment) == (("old",), {"KEY": "1"})


def test_the_active_one_has_its_own_environment_whatever_the_file_says_now(served: Context) -> None:
    served.places.environment.write_text("KEY=2\n")
    found = read_actual(served)
    assert (found.active_environment, found.environment) == ({"KEY": "1"}, {"KEY": "2"})


@pytest.mark.parametrize("made", ["no text", "endless", "a link"])
def test_whatever_the_service_has_made_of_its_environment_the_next_activation_has_one(
    served: Context, made: str
) -> None:
    snapshot = served.places.snapshot(OLD)
    if made == "a link":
        snapshot.unlink()
        snapshot.symlink_to("/dev/zero")
    else:
        snapshot.write_bytes(b"KEY=\xff\n")
    if made == "endless":
        os.truncate(snapshot, 1 << 40)
    assert deploy(served, "").changed
    active = read_actual(served)
    assert (active.active, active.active_environment) == (Activation("old", 2), {"KEY": "1"})


def test_an_environment_that_the_service_leases_is_said_to_be(served: Context) -> None:
    file = served.places.environment
    with leased(file), pytest.raises(ActivationError, match=rf"^{file} can't be read while a process .* has a lease"):
        read_actual(served)
    with leased(served.places.snapshot(OLD)):
        assert read_actual(served).active_environment is None


@pytest.mark.parametrize(("written", "pending"), [("KEY=1\n", ()), ("KEY=2\n", ("the environment file would change",))])
def test_in_check_mode_what_the_run_would_write_counts_not_what_can_not_be_read(
    served: Context, written: str, pending: tuple[str, ...]
) -> None:
    digest = hashlib.sha256(written.encode()).hexdigest()
    desired = replace(served.desired, environment_digest=digest, check_mode=True)
    with leased(served.places.environment):
        found = predicted(desired, read_actual(replace(served, desired=desired)))
    assert (found.environment, found.pending) == ({"KEY": "1"}, pending)


def test_the_youngest_file_that_is_read_at_a_start_counts(served: Context, tmp_path: Path) -> None:
    for name, moment in (("own-socket.cjs", 2000), ("shop@.service", 3000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (moment, moment))
    paths = [str(tmp_path / name) for name in ("own-socket.cjs", "shop@.service", "gone")]
    assert read_actual(replace(served, desired=replace(served.desired, preloads=paths))).preloaded_at == 3000


@pytest.mark.parametrize("link", ["pm2", "bin"])
def test_a_directory_that_is_not_whole_is_said(served: Context, link: str) -> None:
    (served.places.of(OLD) / link).unlink()
    found = read_actual(served)
    assert (found.live, found.broken) == ((), (f"{served.places.of(OLD)} is not whole",))


def test_a_pm2_that_does_not_run_is_said(served: Context, systemd: FakeSystemd) -> None:
    systemd.end()
    found = read_actual(served)
    assert (found.live, found.broken) == ((), (f"no PM2 daemon runs for {served.places.pm2_home(OLD)}",))


def test_a_pm2_that_listens_no_more_is_said(served: Context) -> None:
    (served.places.pm2_home(OLD) / "rpc.sock").unlink()
    (said,) = read_actual(served).broken
    assert f"PM2's daemon (process {os.getpid()}) does not listen" in said


def test_a_pm2_of_another_nodejs_still_says_what_runs(served: Context, bin_directory: Path) -> None:
    found = read_actual(replace(served, tools=replace(served.tools, node=str(bin_directory / "node"))))
    assert [process.name for process in found.live] == ["shop-old"] * 2
    assert len(found.broken) == 1
    assert found.broken[0].startswith("Node.js: ")


def test_a_pm2_that_has_grown_still_says_what_runs(served: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_GROWN_MB", 1)
    found = read_actual(served)
    assert [process.name for process in found.live] == ["shop-old"] * 2
    assert re.fullmatch(r"PM2 has grown to \d+ MB", *found.broken)


def test_activations_are_directories_and_units_that_have_not_ended(served: Context, systemd: FakeSystemd) -> None:
    served.places.of(Activation("half")).mkdir()
    for name, state in (("runs@2", "active"), ("ends", "deactivating"), ("again", "activating"), ("over", "failed")):
        systemd.states[f"shop@{name}.service"] = {"ActiveState": state}
    systemd.states["shop2@other.service"] = {"ActiveState": "active"}
    assert read_actual(served).activations == ("again", "ends", "half", "old", "runs@2")


def test_an_ecosystem_file_of_somebody_else_is_not_overwritten(served: Context) -> None:
    served.places.config_file(OLD).write_text("module.exports = require('./other');\n")
    with pytest.raises(Pm2Error, match="was not written by this module"):
        read_actual(served)


def test_the_active_link_names_the_activation(tmp_path: Path) -> None:
    places = Places.below(tmp_path, "shop")
    assert read_active(places) is None
    places.active.symlink_to(places.of(Activation("a", 2)))
    assert read_active(places) == Activation("a", 2)
    places.active.unlink()
    places.active.mkdir()
    assert read_active(places) is None
