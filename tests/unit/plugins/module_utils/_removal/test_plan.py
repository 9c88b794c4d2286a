# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service's directories goes and what stays: as data, as foreign, behind a link or a mount point."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.lease import Lease, take
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._release.lock import DeployLockError, deploy_lock
from ansible_collections.workbot.stability.plugins.module_utils._removal import plan as removal_plan
from ansible_collections.workbot.stability.plugins.module_utils._removal.database import Database
from ansible_collections.workbot.stability.plugins.module_utils._removal.plan import (
    Plan,
    Removal,
    _plan_account,
    _plan_database,
    _plan_emptied,
    _plan_own,
    apply,
    summary,
)
from ansible_collections.workbot.stability.plugins.module_utils._removal.system import Account, refuse_deployment
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service, Step, belongings

NAME = "trial-of-removal"
FILES = ("releases/one/server.js", "home/.pm2/pm2.log", "config/environment", ".deploy.lock")
FILES += ("activations/one/environment", "activations/one/ecosystem.config.cjs", "home/pm2.log")


class Host:
    """The directories of a service, in a place of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory, self.logs = root / "srv" / NAME, root / "log" / NAME
        self.service = Service(NAME, NAME, NAME, str(self.directory), str(self.logs), str(root / "run" / NAME))
        for name in FILES:
            self.write(name)
        (self.directory / "shared").mkdir()
        self.logs.mkdir(parents=True)
        (self.logs / "out.log").write_text("")

    def write(self, name: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    def plan(self, data: bool = False, mounts: frozenset[str] = frozenset()) -> Plan:
        plan = Plan(self.service.directory, mounts)
        _plan_own(plan, Removal(self.service, data))
        _plan_emptied(plan, belongings(self.service, Step.EMPTIED))
        return plan

    def run(self, data: bool = False, mounts: frozenset[str] = frozenset()) -> Plan:
        plan = self.plan(data, mounts)
        for action in plan.actions:
            action.act()
        return plan

    def left(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_data_stays_and_what_was_made_of_it_goes(host: Host) -> None:
    plan = host.run()
    assert host.left() == [f"log/{NAME}/out.log", f"srv/{NAME}/config/environment"]
    assert plan.kept == plan.data == [f"{host.directory}/config", str(host.logs)]
    assert not (host.directory / "shared").exists(), "an empty directory is no data"
    again = host.plan()
    assert again.words() == []
    assert again.kept == plan.kept


def test_what_somebody_has_put_there_is_data(host: Host) -> None:
    host.write("dumps/monday.sql")
    assert f"{host.directory}/dumps" in host.run().kept
    assert f"srv/{NAME}/dumps/monday.sql" in host.left()


def test_what_the_service_has_written_into_its_users_home_is_data(host: Host) -> None:
    """The unit lets it write there. What is hidden is PM2's, npm's and the like."""
    host.write("home/orders.db")
    host.write("home/.npm/_logs/one")
    plan = host.run()
    assert f"{host.directory}/home" in plan.kept
    assert f"srv/{NAME}/home/orders.db" in host.left()
    assert not [name for name in host.left() if "/home/." in name]
    assert host.run(data=True).words()[0] == str(host.directory)
    assert host.left() == []


def test_nothing_goes_behind_a_link_in_place_of_the_home(host: Host) -> None:
    home, elsewhere = host.directory / "home", host.root / "elsewhere"
    home.rename(elsewhere)
    home.symlink_to(elsewhere)
    for data in (False, True):
        host.run(data=data)
        assert (elsewhere / ".pm2/pm2.log").exists()


def test_all_of_it_goes_when_that_was_said_twice(host: Host) -> None:
    host.write("shared/upload")
    plan = host.run(data=True)
    assert host.left() == []
    assert not host.directory.exists()
    assert plan.words() == [str(host.directory), str(host.logs)]
    assert plan.data == [f"{host.directory}/config", f"{host.directory}/shared", str(host.logs)]
    assert host.plan(data=True).words() == []


def test_without_data_nothing_is_left(host: Host) -> None:
    for name in ["config/environment"]:
        (host.directory / name).unlink()
    (host.logs / "out.log").unlink()
    host.logs.rmdir()
    assert host.run().kept == []
    assert not host.directory.exists()


def test_nothing_goes_behind_the_mount_point_of_the_directory(host: Host) -> None:
    before = host.left()
    for data in (False, True):
        plan = host.run(data=data, mounts=frozenset({str(host.directory)}))
        assert [line.partition(":")[0] for line in plan.left] == [str(host.directory)]
        assert (host.directory / "shared").is_dir(), "an empty directory is behind it as well"
    assert host.left() == [name for name in before if not name.startswith("log/")]


def test_all_but_a_mount_point_inside_goes(host: Host) -> None:
    host.write("shared/uploads/a.png")
    mounts = frozenset({f"{host.directory}/shared/uploads"})
    assert host.run(data=True, mounts=mounts).left == [
        f"{host.directory}/shared/uploads: is a mount point, and what is behind it is not touched"
    ]
    assert host.left() == [f"srv/{NAME}/shared/uploads/a.png"]
    assert host.plan(data=True, mounts=mounts).words() == []


def test_a_link_in_place_of_the_directory_goes_alone_and_only_as_data(host: Host) -> None:
    elsewhere = host.root / "elsewhere"
    host.directory.rename(elsewhere)
    host.directory.symlink_to(elsewhere)
    before = host.left()
    plan = host.run()
    assert host.left() == before
    assert str(host.directory) in plan.kept
    assert plan.left == [f"{host.directory}: is a symbolic link, and what is behind it is not touched"]
    host.run(data=True)
    assert not host.directory.is_symlink()
    assert (elsewhere / "config/environment").exists()


def test_a_user_stays_while_files_of_his_may_be_there() -> None:
    account = Account("shop", "shop", 990, 990)
    plan = Plan(kept=["database shop"])
    _plan_account(plan, account, 15, keeps=removal_plan._owns_more(plan))
    assert plan.words() == ["user shop and group shop"]
    for plan in (Plan(kept=["/srv/shop/config"]), Plan(left=["/srv/shop: is a mount point"])):
        _plan_account(plan, account, 15, keeps=removal_plan._owns_more(plan))
        assert plan.words() == []
        assert "user shop" in plan.kept[-1]


def test_a_database_goes_only_as_data_and_never_where_others_are_let_in() -> None:
    shop = Database("shop", ("shop",))
    kept, gone, shared = Plan(), Plan(), Plan()
    _plan_database(kept, shop, data=False)
    _plan_database(gone, shop, data=True)
    _plan_database(shared, Database(kept="database shop: others"), data=True)
    assert (kept.words(), kept.kept) == ([], ["database shop and roles shop"])
    assert (gone.words(), gone.kept) == (["database shop and roles shop"], [])
    assert (shared.words(), shared.left) == ([], ["database shop: others"])


def test_a_server_that_does_not_answer_is_a_problem_only_for_data() -> None:
    silent = Database(problem="no answer")
    kept, wanted = Plan(), Plan()
    _plan_database(kept, silent, data=False)
    _plan_database(wanted, silent, data=True)
    assert kept.problem == ""
    assert "no answer" in kept.kept[0]
    assert "no answer" in wanted.problem


@pytest.mark.parametrize("lock", [".deploy.lock", ".build.lock"])
def test_a_deployment_at_work_is_not_disturbed(host: Host, monkeypatch: pytest.MonkeyPatch, lock: str) -> None:
    monkeypatch.setattr(removal_plan, "make_plan", lambda _order, _layout: host.plan())
    with (
        deploy_lock(host.directory / lock, "release one", "alice"),
        pytest.raises(DeployLockError, match="release one, begun by alice"),
    ):
        apply(Removal(host.service), Layout(), check=False)
    assert {*map(str, host.left())} >= {f"srv/{NAME}/{name}" for name in FILES}


def test_a_deployment_is_seen_before_the_first_host_changes(host: Host) -> None:
    releases = host.directory / "releases"
    refuse_deployment(releases)
    with (
        deploy_lock(host.directory / ".deploy.lock", "release one", "alice"),
        pytest.raises(StabilityError, match="release one, begun by alice"),
    ):
        refuse_deployment(releases)
    now = time.time()
    take(releases, Lease("run", "release two", "bob", now, now + 60), take_over=False)
    with pytest.raises(StabilityError, match="release two by bob"):
        refuse_deployment(releases)
    take(releases, Lease("run", "release two", "bob", now - 60, now - 1), take_over=False)
    refuse_deployment(releases)


def test_a_lease_that_has_ended_is_no_data(host: Host) -> None:
    host.write(".deploy.lease")
    assert f"{host.directory}/.deploy.lease" in host.run().words()
    assert f"srv/{NAME}/.deploy.lease" not in host.left()


def test_a_step_that_fails_says_how_far_it_came(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no luck")

    plan = Plan()
    plan.add(["/one", "/two"], lambda: None)
    plan.add(["user shop"], fail)
    monkeypatch.setattr(removal_plan, "make_plan", lambda _order, _layout: plan)
    assert apply(Removal(host.service), Layout(), check=True) is plan
    with pytest.raises(StabilityError, match=r"user shop: no luck\n2 of 3 things are gone; the next run goes on"):
        apply(Removal(host.service), Layout(), check=False)


def test_the_lock_goes_with_the_last_of_the_directory(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there was none before the run."""
    for name in ("config/environment", ".deploy.lock"):
        (host.directory / name).unlink()
    monkeypatch.setattr(removal_plan, "make_plan", lambda _order, _layout: host.plan())
    apply(Removal(host.service), Layout(), check=False)
    assert not host.directory.exists()


def test_the_summary_says_how_data_goes(host: Host) -> None:
    plan = Plan(kept=["/srv/shop/config"], left=["/mnt: is a mount point"])
    lines = summary(Removal(host.service), plan, check=False)
    assert lines[0] == f"{NAME}: there is nothing to remove."
    assert f"The data goes with -e remove_data=true -e remove_confirm={NAME}" in lines
    assert "Left alone: /mnt: is a mount point" in lines
    plan.add(["/one"], lambda: None)
    assert summary(Removal(host.service), plan, check=True)[0] == f"{NAME}: 1 thing would be removed."


def test_whoever_is_still_connected_to_any_of_its_sockets_is_waited_for(tmp_path: Path) -> None:
    service = Service(NAME, NAME, NAME, "", "", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as worker, socket.socket(socket.AF_UNIX) as client:
        beside = tmp_path / f"a@1.{os.getpid()}"
        worker.bind(str(beside))
        worker.listen()
        beside.rename(tmp_path / "a@1.sock")
        client.connect(str(tmp_path / "a@1.sock"))
        accepted, _address = worker.accept()
        ended = threading.Event()

        def end() -> None:
            ended.set()
            client.close()
            accepted.close()

        threading.Timer(0.4, end).start()
        removal_plan._drain(service, 20)
        assert ended.is_set()
