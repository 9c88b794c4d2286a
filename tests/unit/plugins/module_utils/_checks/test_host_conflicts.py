# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is somebody else's on a host is named, with the variable to change; what is the roles' own is not."""

from __future__ import annotations

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
    named_logs,
    rotated_elsewhere,
    run_directory_conflict,
    user_conflict,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.accounts import Account
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service, Step, Thing

HERE = getpass.getuser()
HOME = pwd.getpwuid(os.getuid()).pw_dir
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
    # around an existing service the user is somebody else's, and says nothing of the places
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
    assert text.startswith(f"service_directory: {tmp_path} is somebody else's: it has access.log")
    os.chown(tmp_path / "access.log", nobody.pw_uid, -1)
    assert conflicts(service("nobody", str(tmp_path)), None, []) == []
    # /tmp has something of everybody
    tmp_path.chmod(0o1777)
    assert len(conflicts(service("nobody", str(tmp_path)), None, [])) == 1


def test_a_directory_of_run_is_the_services_or_free(tmp_path: Path) -> None:
    assert run_directory_conflict(tmp_path / "missing") == ""
    assert run_directory_conflict(tmp_path) == ""
    (tmp_path / "private").touch()
    assert run_directory_conflict(tmp_path).startswith(f"service_run_directory: {tmp_path} is somebody else's")
    tmp_path.chmod(0o3752)
    assert run_directory_conflict(tmp_path) == ""


def test_a_group_of_others_gives_no_rights_to_the_service() -> None:
    root = Account("root", "root", "/root")
    assert "group of the system" in group_conflict("shadow", None)
    assert "group of root" in group_conflict("root", None)
    assert "group of the system" in group_conflict("root", root)
    assert group_conflict("nobody-has-this-name", None) == ""


def test_a_file_is_free_when_it_says_whose_it_is(tmp_path: Path) -> None:
    unit = tmp_path / "pm2-shop.service"
    place = Thing(str(unit), Step.PM2, ("PM2_HOME=/srv/shop/home/.pm2",))
    assert conflict(place) == ""
    unit.write_text("Environment=PM2_HOME=/home/shop/.pm2\n")
    assert str(unit) in conflict(place)
    unit.write_text("Environment=PM2_HOME=/srv/shop/home/.pm2\n")
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
