# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has a service's name and is foreign: it stays, whatever was said how often."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._removal import plan as removal_plan
from ansible_collections.workbot.stability.plugins.module_utils._removal.database import Database
from ansible_collections.workbot.stability.plugins.module_utils._removal.files import is_foreign
from ansible_collections.workbot.stability.plugins.module_utils._removal.plan import (
    Plan,
    Removal,
    _plan_own,
    _plan_unit,
    make_plan,
)
from ansible_collections.workbot.stability.plugins.module_utils._removal.system import Unit
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import (
    Service,
    Step,
    Thing,
    belongings,
)

NAME = "trial-of-removal"


def service_at(root: Path, **other: object) -> Service:
    directories = [str(root / part / NAME) for part in ("srv", "log", "run")]
    return dataclasses.replace(Service(NAME, NAME, NAME, *directories), **other)  # type: ignore[arg-type]


def paths(service: Service, *steps: Step) -> list[str]:
    return [thing.path for thing in belongings(service, *steps)]


@pytest.mark.parametrize(
    ("name", "webroot", "goes"),
    [
        ("shop", "/var/www/shop-acme", True),
        ("shop", "/var/www/webshop-acme", False),
        ("shop", "/var/www/shop-alert-acme", False),
        ("acme", "/var/www/acme", False),
        ("www", "/var/www", False),
        ("shop", "", False),
    ],
)
def test_a_directory_of_challenges_is_its_own_by_its_whole_name_alone(name: str, webroot: str, goes: bool) -> None:
    service = dataclasses.replace(service_at(Path("/")), name=name, acme_webroot=webroot)
    assert (webroot in paths(service, Step.FILES)) is goes


def test_a_toolchain_and_a_policy_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    toolchain, policy = tmp_path / "opt", tmp_path / "policy"
    toolchain.mkdir()
    versions = Thing(str(toolchain), Step.FILES, ("versions",))
    assert not is_foreign(versions, versions.path)
    (toolchain / "bin").symlink_to("versions/one/bin")
    assert not is_foreign(versions, versions.path), "what a removal that was killed has left"
    (toolchain / "server.js").write_text("")
    assert is_foreign(versions, versions.path)
    (toolchain / "versions").mkdir()
    assert not is_foreign(versions, versions.path)
    policy.write_text("/var/log/shop2/*.log {\n}\n")
    assert is_foreign(Thing(str(policy), Step.FILES, ("/var/log/shop/",)), str(policy))
    assert not is_foreign(Thing(str(policy), Step.FILES, ("/var/log/shop2/",)), str(policy))
    missing = str(tmp_path / "missing")
    assert not is_foreign(Thing(missing, Step.FILES, ("x",)), missing)


def test_what_another_service_has_of_that_name_stays(tmp_path: Path) -> None:
    """The sockets of a service "shop-alert" lie where "shop" has its alerts' lock."""
    own, other, theirs = tmp_path / "own", tmp_path / "other", tmp_path / "other.conf"
    for path in (own, other, theirs):
        path.write_text("somebody's")
    plan = Plan()
    things = [
        Thing(str(other), Step.FILES, unless=str(theirs)),
        Thing(str(own), Step.FILES, ("service's",)),
        Thing(str(own), Step.FILES),
    ]
    removal_plan._plan_places(plan, things)
    assert plan.words() == [str(own)]
    assert plan.left == [f"{other}: is foreign", f"{own}: is foreign"]
    assert "/etc/tmpfiles.d/shop-alert.conf" in [
        thing.unless for thing in belongings(dataclasses.replace(service_at(tmp_path), name="shop"))
    ]


def test_sockets_and_crontab_stay_where_the_user_is_somebody_elses(tmp_path: Path) -> None:
    service = service_at(tmp_path)
    socket = Path(service.run_directory) / "app.sock"
    socket.parent.mkdir(parents=True)
    socket.write_text("")
    assert f"/var/spool/cron/crontabs/{NAME}" in paths(service, Step.USER)
    plan = Plan()
    _plan_own(plan, Removal(service, data=True), has_user=False)
    assert plan.words() == []
    _plan_own(plan, Removal(service, data=True))
    assert plan.words() == [service.run_directory]


@pytest.mark.parametrize("name", [f"{NAME}.service", f"{NAME}@.service"])
def test_a_unit_that_has_only_the_service_s_name_stays(tmp_path: Path, name: str) -> None:
    service, file = service_at(tmp_path), tmp_path / name
    (unit,) = (thing for thing in belongings(service, Step.PM2) if thing.unit == name)
    for text, goes in (("[Service]\nExecStart=/opt/own\n", False), (f"# {service.mark}\n", True)):
        file.write_text(text)
        plan = Plan()
        _plan_unit(plan, dataclasses.replace(unit, path=str(file)), Unit(name, (str(file),), known=True))
        assert plan.words() == ([f"unit {name}"] if goes else [])
        assert plan.left == ([] if goes else [f"{file}: is foreign"])


def test_a_unit_and_a_job_that_somebody_has_set_up_stay(tmp_path: Path) -> None:
    """A watchdog of the same name is stopped only if these roles have made it."""
    service, file = service_at(tmp_path), tmp_path / "shop-watchdog.service"
    job, unit = (dataclasses.replace(thing, path=str(file)) for thing in belongings(service, Step.WATCHING)[:2])
    here = Unit(file.name, (str(file),), known=True)
    for text, goes in (("[Service]\nExecStart=/opt/own-watchdog\n", False), (f"# {service.mark}\n", True), ("", True)):
        file.write_text(text)
        plan = Plan()
        _plan_unit(plan, unit, here)
        removal_plan._plan_places(plan, [job])
        assert plan.words() == ([f"unit {file.name}", str(file)] if goes else [])
        assert plan.left == ([] if goes else [f"{file}: is foreign"])


def test_of_a_service_that_runs_under_something_else_only_the_tools_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where its directories look like those of these roles, as every deployment by releases does."""
    monkeypatch.setattr(removal_plan, "read_units", lambda names: {name: Unit(name, (), known=False) for name in names})
    monkeypatch.setattr(removal_plan, "read_database", lambda _service: Database(NAME, (NAME,)))
    service = service_at(tmp_path, tools_only=True, database=NAME, database_roles=(NAME,))
    for file in ("releases/one/server.js", "shared/upload", "config/watchdog.json"):
        path = Path(service.directory) / file
        path.parent.mkdir(parents=True)
        path.write_text("")
    for directory in (service.run_directory, service.log_directory):
        Path(directory).mkdir(parents=True)
        (Path(directory) / "file").write_text("")
    layout = Layout(config=tmp_path / "nginx", state=tmp_path / "state")
    assert make_plan(Removal(service), layout).words() == []
    config = f"{service.directory}/config"
    gone = [f"{config}/watchdog.json", service.log_directory]
    plan = make_plan(Removal(service, data=True), layout)
    assert (plan.words(), plan.data) == ([*gone, config], gone)
    (Path(config) / "database.yml").write_text("")
    assert make_plan(Removal(service, data=True), layout).words() == gone
    assert not {f"/opt/{NAME}", service.run_directory} & set(paths(service))


def test_a_host_that_has_nothing_of_the_service_is_left_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal_plan, "read_units", lambda names: {name: Unit(name, (), known=False) for name in names})
    service = service_at(tmp_path, alert_user=f"{NAME}-alert", database=NAME, database_roles=(NAME,))
    layout = Layout(config=tmp_path / "nginx", state=tmp_path / "state")
    for data in (False, True):
        plan = make_plan(Removal(service, data), layout)
        assert (plan.words(), plan.data, plan.left) == ([], [], [])
