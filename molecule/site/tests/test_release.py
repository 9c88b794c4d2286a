# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release on the host's disk."""

from __future__ import annotations

import json

from testinfra.host import Host

RELEASES = "/srv/workbot/releases"


def active(host: Host) -> str:
    """Directory of the release whose sockets the active link points to."""
    name = host.check_output("basename $(readlink /srv/workbot/active)")
    # A release that runs another way than at first has @2, @3 and so on behind its name.
    return f"{RELEASES}/{name.partition('@')[0]}"


def test_the_active_release_is_whole(host: Host) -> None:
    release = active(host)
    mark = json.loads(host.file(f"{release}/.release.json").content_string)
    assert release.endswith(f"/{mark['id']}")
    assert mark["package_manager"] == "pnpm"
    assert host.file(f"{release}/.release.json").user == "root"


def test_no_unfinished_release_is_left(host: Host) -> None:
    names = host.check_output("find %s -mindepth 1 -maxdepth 1 -type d", RELEASES).splitlines()
    assert names
    assert all(host.file(f"{name}/.release.json").exists for name in names)


def test_the_running_service_can_read_its_release_but_not_change_it(host: Host) -> None:
    release = active(host)
    assert host.run("runuser -u workbot -- cat %s/package.json", release).rc == 0
    assert host.check_output("cd / && runuser -u workbot -- find %s -writable ! -type l", release) == ""


def test_others_can_not_read_it(host: Host) -> None:
    assert host.run("runuser -u nobody -- ls %s", active(host)).rc != 0


def test_development_dependencies_are_gone(host: Host) -> None:
    release = active(host)
    manifest = json.loads(host.file(f"{release}/package.json").content_string)
    installed = [name for name in manifest["devDependencies"] if host.file(f"{release}/node_modules/{name}").exists]
    assert installed == []
    missing = [name for name in manifest["dependencies"] if not host.file(f"{release}/node_modules/{name}").exists]
    assert missing == []


def test_what_the_controller_leaves_out_is_not_there(host: Host) -> None:
    release = active(host)
    assert not host.file(f"{release}/.git").exists
    assert not host.file(f"{release}/.env").exists


def test_files_share_nothing_with_the_package_store(host: Host) -> None:
    """A hard link would let one release, or the store, change another."""
    assert host.check_output("find %s -type f -links +1", active(host)) == ""
