# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is foreign on a host is named, with the variable to change; what is the roles' own is not."""

from __future__ import annotations

import fnmatch
import getpass
import grp
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks import host_conflicts
from ansible_collections.workbot.stability.plugins.module_utils._checks.external_service import Existing
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import (
    conflict,
    conflicts,
    disk_conflict,
    existing_conflicts,
    group_conflict,
    group_in_use_conflict,
    misplaced,
    named_logs,
    rotated_elsewhere,
    run_directory_conflict,
    unit_conflict,
    user_conflict,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.accounts import Account
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service, Step, Thing

HERE = getpass.getuser()
HOME = pwd.getpwuid(os.getuid()).pw_dir
MINE = grp.getgrgid(os.getgid()).gr_name
OTHER = next(group.gr_name for group in grp.getgrall() if group.gr_gid != os.getgid())
POLICY = """\
# of /var/log/never.log
"/srv/app one/x.log" /home/app/logs/*.log
/home/app/other.log {
    daily
    postrotate
        cat /run/app.pid
    endscript
}
/var/log/last.log { weekly }
"""


def test_a_directory_is_free_when_it_is_empty_or_marked(tmp_path: Path) -> None:
    directory = tmp_path / "shop"
    place = Thing(str(directory), Step.EMPTIED, ("config/environment",), variable="service_directory")
    assert conflict(place) == ""
    directory.mkdir()
    (directory / "lost+found").mkdir()
    # a run that was ended early leaves directories
    (directory / "config").mkdir()
    assert conflict(place) == ""
    (directory / "package.json").touch()
    assert "service_directory: " in conflict(place)
    assert "package.json" in conflict(place)
    (directory / "config" / "environment").touch()
    assert conflict(place) == ""


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("nothing", {"a directory": "", "a file": ""}),
        ("a file", {"a directory": "is a file, and a directory of the service's belongs there", "a file": ""}),
        ("a directory", {"a directory": "", "a file": "is a directory, and a file of the service's belongs there"}),
        # a file is put in its place, and nobody writes through it
        ("a symbolic link", {"a directory": "is a symbolic link, and a directory of the service's", "a file": ""}),
    ],
)
def test_what_is_of_another_kind_is_in_the_way(tmp_path: Path, made: str, expected: dict[str, str]) -> None:
    path = tmp_path / "thing"
    if made == "a file":
        path.touch()
    elif made == "a directory":
        path.mkdir()
    elif made == "a symbolic link":
        path.symlink_to(tmp_path)
    for kind, text in expected.items():
        found = misplaced(Thing(str(path), Step.FILES, directory=kind == "a directory"))
        assert found.startswith(f"{path} {text}" if text else "")
        assert bool(found) == bool(text)


def test_a_directory_in_the_place_of_a_file_is_refused_on_a_host_that_has_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what has drifted and can be repaired, and each once."""
    here = Account(HERE, HERE, f"{tmp_path}/home")
    monkeypatch.setattr(host_conflicts, "actual", lambda _name: here)
    (tmp_path / "config/watchdog.json").mkdir(parents=True)
    (tmp_path / "current").mkdir()
    (tmp_path / "shared").symlink_to("/nowhere")
    found = conflicts(service(HERE, str(tmp_path)), None, [])
    assert [text.partition(" ")[0].removeprefix(f"{tmp_path}/") for text in found] == [
        "current",
        "shared",
        "config/watchdog.json",
    ]


def test_names_that_others_use_as_well_are_no_mark(tmp_path: Path) -> None:
    place = Thing(str(tmp_path), Step.EMPTIED, ("config/environment",), variable="service_directory")
    (tmp_path / "releases" / "20240101").mkdir(parents=True)
    (tmp_path / "releases" / "20240101" / "server.js").touch()
    (tmp_path / "config").mkdir()
    assert "has config, releases" in conflict(place)
    (tmp_path / "releases").rename(tmp_path / "elsewhere")
    (tmp_path / "current").symlink_to("elsewhere")
    assert "current" in conflict(place)


def service(user: str, directory: str, group: str = "", tools_only: bool = False) -> Service:
    """One of which nothing is on the host but its user, and what lies in the directory."""
    name = "trial-of-conflicts"
    return Service(name, user, group, directory, f"/var/log/{name}", f"/run/{name}", tools_only=tools_only)


def test_on_a_host_that_has_the_service_nothing_that_has_drifted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    here = Account(HERE, HERE, f"{tmp_path}/home")
    monkeypatch.setattr(host_conflicts, "actual", lambda name: here if name == HERE else None)
    assert conflicts(service(HERE, str(tmp_path)), None, []) == []
    (text,) = conflicts(service("nobody-has-this-name", str(tmp_path)), None, [])
    assert text.startswith("service_directory: ")
    # around an existing service the user is foreign, and says nothing of the places
    group = grp.getgrgid(os.getgid()).gr_name
    (text,) = conflicts(service(HERE, str(tmp_path), group, tools_only=True), None, [])
    assert text.startswith("service_directory: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of another user")
def test_a_directory_that_a_variable_names_by_now_must_be_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a host that has the service: another value of service_log_directory, say, and somebody's logs are there."""
    nobody = pwd.getpwnam("nobody")
    here = Account("nobody", "nogroup", f"{tmp_path}/home")
    monkeypatch.setattr(host_conflicts, "actual", lambda name: here if name == "nobody" else None)
    monkeypatch.setattr(host_conflicts, "group_conflict", lambda _name, _user: "")
    (tmp_path / "access.log").touch()
    (text,) = conflicts(service("nobody", str(tmp_path)), None, [])
    assert text.startswith(f"service_directory: {tmp_path} is foreign: it has access.log")
    os.chown(tmp_path / "access.log", nobody.pw_uid, -1)
    assert conflicts(service("nobody", str(tmp_path)), None, []) == []
    # /tmp has something of everybody
    tmp_path.chmod(0o1777)
    assert len(conflicts(service("nobody", str(tmp_path)), None, [])) == 1


def test_a_directory_of_run_is_the_services_or_free(tmp_path: Path) -> None:
    run, declared = tmp_path / "run", tmp_path / "shop.conf"
    assert run_directory_conflict(run, declared) == ""
    run.mkdir(0o755)
    assert run_directory_conflict(run, declared) == ""
    (run / "private").touch()
    declared.write_text(f"D {run}-of-others 3772 root www-data -\n")
    assert run_directory_conflict(run, declared).startswith(f"service_run_directory: {run} is foreign")
    run.chmod(0o3752)
    assert run_directory_conflict(run, declared) == ""


def test_a_directory_of_run_that_the_service_declares_is_its_own_whatever_its_mode(tmp_path: Path) -> None:
    run, declared = tmp_path / "run", tmp_path / "shop.conf"
    run.mkdir(0o777)
    (run / "0.sock").touch()
    declared.write_text(f"D {run} 3772 root www-data -\n")
    assert run_directory_conflict(run, declared) == ""


def test_a_group_of_others_gives_no_rights_to_the_service() -> None:
    root = Account("root", "root", "/root")
    assert "group of the system" in group_conflict("shadow", None)
    assert "group of root" in group_conflict("root", None)
    assert "group of the system" in group_conflict("root", root)
    assert group_conflict("nobody-has-this-name", None) == ""


@pytest.mark.parametrize(
    ("group", "running", "says"),
    [
        pytest.param(MINE, "trial-of-conflicts-watchdog.service", "", id="the same group"),
        pytest.param("missing", "", "", id="nothing runs"),
        pytest.param("missing", "trial-of-conflicts-watchdog.service", "If it was renamed: groupmod", id="renamed"),
        pytest.param(OTHER, "trial-of-conflicts@a@2.service", "stop trial-of-conflicts@a@2.service; the", id="another"),
    ],
)
def test_what_runs_with_another_group_is_named_with_that(
    monkeypatch: pytest.MonkeyPatch, group: str, running: str, says: str
) -> None:
    """It could not read what it is given, and a deployment would say that nothing listens."""
    asked: list[str] = []

    def states(names: list[str]) -> dict[str, dict[str, str]]:
        asked.extend(names)
        # as systemd does: a pattern gives what it matches of all that is loaded
        found = {name for name in names if "*" not in name} | set(fnmatch.filter([running], "*@*"))
        matched = [name for name in found if any(fnmatch.fnmatch(name, pattern) for pattern in names)]
        return {name: {"MainPID": str(os.getpid() if name == running else 0)} for name in matched}

    monkeypatch.setattr(host_conflicts, "unit_states", states)
    found = group_in_use_conflict(service(HERE, "/srv/missing", group))
    assert says in found
    assert bool(found) == bool(says)
    if found:
        assert f"what runs as {HERE} has the group {MINE}, and could not read what a run gives to {group}" in found
    # systemd knows no state of a template, and of a timer no process
    assert all(unit.endswith(".service") and "@." not in unit for unit in asked)
    assert "trial-of-conflicts@*.service" in asked


def test_an_unknown_user_or_a_silent_systemd_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_names: list[str]) -> dict[str, dict[str, str]]:
        raise UnitError("no answer")

    monkeypatch.setattr(host_conflicts, "unit_states", silent)
    assert group_in_use_conflict(service(HERE, "/srv/missing", "nobody-has-this-name")) == ""
    assert group_in_use_conflict(service("nobody-has-this-name", "/srv/missing", HERE)) == ""


@pytest.mark.parametrize("unit", ["shop.service", "shop@.service"])
def test_a_service_is_not_named_as_the_unit_of_a_package(tmp_path: Path, unit: str) -> None:
    assert unit_conflict("shop", tmp_path) == ""
    (tmp_path / "shop2.service").touch()
    assert unit_conflict("shop", tmp_path) == ""
    (tmp_path / unit).touch()
    text = unit_conflict("shop", tmp_path)
    assert text.startswith(f"service_name: {tmp_path / unit} is a package's unit")


def test_a_file_is_free_when_it_says_whose_it_is(tmp_path: Path) -> None:
    unit = tmp_path / "shop.service"
    place = Thing(str(unit), Step.PM2, ("Part of service shop",))
    assert conflict(place) == ""
    unit.write_text("Description=shop\n")
    assert str(unit) in conflict(place)
    unit.write_text("# Part of service shop\n")
    assert conflict(place) == ""


def test_a_user_must_be_the_services_or_there_already() -> None:
    assert user_conflict(HERE, HOME) == ""
    assert user_conflict(HERE, "") == ""
    assert HOME in user_conflict(HERE, "/srv/shop/home")
    assert user_conflict("nobody-has-this-name", "/srv/shop/home") == ""
    assert "nobody-has-this-name" in user_conflict("nobody-has-this-name", "")
    # many a user's group has another name than he
    (text,) = conflicts(service(HERE, "/srv/missing", "nobody-has-this-name", tools_only=True), None, [])
    assert text.startswith("service_group: ")
    group = grp.getgrgid(os.getgid()).gr_name
    assert conflicts(service(HERE, "/srv/missing", group, tools_only=True), None, []) == []


def test_the_disk_has_what_is_reserved_of_it(tmp_path: Path) -> None:
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    missing = tmp_path / "srv" / "shop"
    assert disk_conflict(missing, size) == ""
    text = disk_conflict(missing, 10 * size)
    sum_ = f"{10 * size // 1024**2}M reserved, of {size // 1024**2}M that the whole disk of {missing} has"
    assert text.startswith(f"service_reserved_disk: not enough disk: {sum_}")
    assert text in conflicts(service(HERE, str(missing), tools_only=True), None, [], 10 * size)


def test_what_was_declared_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    units = {"shop.service": {"LoadState": "loaded"}, "none.service": {"LoadState": "not-found"}}
    monkeypatch.setattr(host_conflicts, "unit_states", lambda names: {name: units[name] for name in names})
    assert existing_conflicts(Existing("systemd", "http://h", unit="shop.service")) == []
    (text,) = existing_conflicts(Existing("systemd", "http://h", unit="none.service"))
    assert "none.service" in text
    assert existing_conflicts(Existing("pm2", "http://h", pm2_home=str(tmp_path))) == []
    (text,) = existing_conflicts(Existing("pm2", "http://h", pm2_home=str(tmp_path / ".pm2")))
    assert text.startswith("service_external_pm2_home: ")
    assert existing_conflicts(Existing("process", "http://h")) == []
    (text,) = existing_conflicts(Existing("process", "http://h:70000/health"))
    assert text.startswith("service_external_url: ")


def test_the_logs_of_a_policy_are_those_before_its_blocks() -> None:
    assert named_logs(POLICY)[-3:] == ["/home/app/logs/*.log", "/home/app/other.log", "/var/log/last.log"]
    assert "/run/app.pid" not in named_logs(POLICY)
    assert "/var/log/never.log" not in named_logs(POLICY)


def test_a_log_is_rotated_by_one_policy_only(tmp_path: Path) -> None:
    logs, policies = tmp_path / "logs", tmp_path / "policies"
    logs.mkdir()
    policies.mkdir()
    (logs / "out.log").touch()
    own = policies / "shop"
    own.write_text(f"{logs}/*.log {{ daily }}\n")
    assert rotated_elsewhere([f"{logs}/*.log"], own.name, policies) == []
    (policies / "byhand").write_text(f"{logs}/out.log {{ daily }}\n")
    (text,) = rotated_elsewhere([f"{logs}/*.log"], own.name, policies)
    assert f"{logs}/out.log is rotated by {policies}/byhand" in text
    assert rotated_elsewhere([], own.name, policies) == []
