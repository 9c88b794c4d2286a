# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has a service's name and is somebody else's: it stays, whatever was said how often."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._removal import plan as removal_plan
from ansible_collections.workbot.stability.plugins.module_utils._removal.database import Database
from ansible_collections.workbot.stability.plugins.module_utils._removal.files import is_marked
from ansible_collections.workbot.stability.plugins.module_utils._removal.plan import (
    Order,
    Plan,
    _plan_own,
    _plan_pm2,
    make_plan,
)
from ansible_collections.workbot.stability.plugins.module_utils._removal.system import Unit
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import (
    Place,
    Service,
    own_places,
    site_places,
    user_places,
)

NAME = "trial-of-removal"


def service_at(root: Path, **other: object) -> Service:
    directories = [str(root / part / NAME) for part in ("srv", "log", "run")]
    return dataclasses.replace(Service(NAME, NAME, NAME, *directories), **other)  # type: ignore[arg-type]


def paths(places: list[Place]) -> list[str]:
    return [place.path for place in places]


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
    assert (webroot in paths(site_places(service))) is goes


def test_a_toolchain_and_a_policy_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    toolchain, policy = tmp_path / "opt", tmp_path / "policy"
    toolchain.mkdir()
    assert is_marked(str(toolchain), "versions")
    (toolchain / "bin").symlink_to("versions/one/bin")
    assert is_marked(str(toolchain), "versions"), "what a removal that was killed has left"
    (toolchain / "server.js").write_text("")
    assert not is_marked(str(toolchain), "versions")
    (toolchain / "versions").mkdir()
    assert is_marked(str(toolchain), "versions")
    policy.write_text("/var/log/shop2/*.log {\n}\n")
    assert not is_marked(str(policy), "/var/log/shop/")
    assert is_marked(str(policy), "/var/log/shop2/")
    assert is_marked(str(tmp_path / "missing"), "x")


def test_what_another_service_has_of_that_name_stays(tmp_path: Path) -> None:
    """The sockets of a service "shop-alert" lie where "shop" has its alerts' lock."""
    own, other, theirs = tmp_path / "own", tmp_path / "other", tmp_path / "other.conf"
    for path in (own, other, theirs):
        path.write_text("somebody's")
    plan = Plan()
    places = [Place(str(other), unless=str(theirs)), Place(str(own), mark="service's"), Place(str(own))]
    removal_plan._plan_places(plan, places, frozenset())
    assert plan.words() == [str(own)]
    assert plan.left == [f"{other}: is somebody else's", f"{own}: is somebody else's"]
    assert "/etc/tmpfiles.d/shop-alert.conf" in [
        place.unless for place in own_places(dataclasses.replace(service_at(tmp_path), name="shop"))
    ]


def test_sockets_and_crontab_stay_where_the_user_is_somebody_elses(tmp_path: Path) -> None:
    service = service_at(tmp_path)
    socket = Path(service.run_directory) / "app.sock"
    socket.parent.mkdir(parents=True)
    socket.write_text("")
    assert f"/var/spool/cron/crontabs/{NAME}" in paths(user_places(service))
    plan = Plan()
    _plan_own(plan, Order(service, data=True), frozenset(), has_user=False)
    assert plan.words() == []
    _plan_own(plan, Order(service, data=True), frozenset())
    assert plan.words() == [service.run_directory]


@pytest.mark.parametrize(("home", "goes"), [("srv/{}/home/.pm2", True), ("home/{}/.pm2", False)])
def test_a_unit_of_another_pm2_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, goes: bool) -> None:
    """`pm2 startup` makes pm2-shop.service for a user called shop."""
    monkeypatch.setattr(removal_plan, "UNITS", str(tmp_path))
    service, plan = service_at(tmp_path), Plan()
    file = tmp_path / service.pm2_unit
    file.write_text(f"[Service]\nEnvironment=PM2_HOME={tmp_path / home.format(NAME)}\n")
    _plan_pm2(plan, Order(service), Unit(service.pm2_unit, (str(file),), known=True))
    assert plan.words() == ([f"unit {service.pm2_unit}"] if goes else [])
    assert plan.left == ([] if goes else [f"{file}: starts another PM2 than the service's"])


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
    assert make_plan(Order(service), layout).words() == []
    config = f"{service.directory}/config"
    gone = [f"{config}/watchdog.json", service.log_directory]
    plan = make_plan(Order(service, data=True), layout)
    assert (plan.words(), plan.data) == ([*gone, config], gone)
    (Path(config) / "database.yml").write_text("")
    assert make_plan(Order(service, data=True), layout).words() == gone
    assert not {f"/opt/{NAME}", service.run_directory} & set(paths([*own_places(service), *user_places(service)]))
