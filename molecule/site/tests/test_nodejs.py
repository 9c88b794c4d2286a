# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Node.js, its package managers and PM2, as the host has them."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

BIN = "/opt/workbot/bin"


def as_service(host: Host, command: str) -> str:
    """Output of a command that the service's user runs with the toolchain on its PATH."""
    return host.check_output(
        "runuser -u workbot -- env -i HOME=/srv/workbot/home PATH=%s:/usr/bin:/bin sh -c %s", BIN, command
    )


@pytest.mark.parametrize(("tool", "version"), [("node", "v26.10.0"), ("npm", "12.2.0"), ("pnpm", "12.4.2")])
def test_the_service_s_user_can_run_each_tool_at_its_version(host: Host, tool: str, version: str) -> None:
    assert as_service(host, f"cd / && {tool} --version").strip() == version


def test_pm2_is_at_its_version(host: Host) -> None:
    pm2 = host.check_output("readlink -f %s/pm2", BIN)
    manifest = json.loads(host.file(pm2.removesuffix("/bin/pm2") + "/package.json").content_string)
    assert manifest["version"] == "7.0.4"


def test_nobody_but_root_may_change_the_toolchain(host: Host) -> None:
    loose = host.check_output(r"find /opt/workbot ! -type l \( ! -user root -o -perm /022 \)")
    assert loose == ""


def test_no_half_made_toolchain_is_left(host: Host) -> None:
    assert host.check_output("find /opt/workbot/versions -mindepth 1 -maxdepth 1 -name '*.partial*'") == ""


def test_the_pm2_command_lists_the_processes_of_the_service(host: Host) -> None:
    listed = json.loads(host.check_output("workbot-pm2 jlist").splitlines()[-1])
    assert listed
    assert all(process["name"].startswith("workbot-") for process in listed)


def test_the_pm2_command_passes_none_of_its_caller_s_environment_on(host: Host) -> None:
    shown = host.check_output("CANARY=secret workbot-pm2 jlist")
    assert "CANARY" not in shown


def test_the_pm2_command_starts_no_daemon(host: Host) -> None:
    """With a home where no daemon runs, as when the boot unit is stopped."""
    script = "sed 's#^pm2_home=.*#pm2_home=/nonexistent#' /usr/local/bin/workbot-pm2 | sh -s -- list"
    result = host.run(script)
    assert result.rc == 1
    assert "systemctl restart workbot.service" in result.stderr


def test_the_pm2_command_refuses_other_users(host: Host) -> None:
    result = host.run("runuser -u nobody -- workbot-pm2 list")
    assert result.rc == 1
    assert "sudo workbot-pm2 list" in result.stderr


def test_the_pm2_command_changes_nothing_while_another_does(host: Host) -> None:
    """The lock is that of the modules and the watchdog; its holder here lets go when it is told to."""
    script = """
    runuser -u workbot -- flock "$(readlink -f /srv/workbot/active/pm2)" \\
        sh -c 'touch /tmp/molecule-holds; while [ -e /tmp/molecule-holds ]; do sleep 0.1; done' &
    until [ -e /tmp/molecule-holds ]; do sleep 0.1; done
    workbot-pm2 jlist >/dev/null && echo listed
    workbot-pm2 reset all >/dev/null & command=$!
    sleep 3; kill -0 $command && echo waits
    rm /tmp/molecule-holds; wait $command && echo done
    """
    result = host.run(script)
    assert result.stdout.split() == ["listed", "waits", "done"], result.stderr
    assert "waiting for another command, or the watchdog" in result.stderr
