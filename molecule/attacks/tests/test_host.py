# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's log rotation belongs to nobody: a service that makes trouble in it loses its own at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attacks import HOSTILE, NEIGHBOUR, Attacker
from deployments import Service, wait
from hosts import playbook
from testinfra.host import Host

PID_FILE = f"/srv/{HOSTILE}/active/pm2/pm2.pid"
NGINX_LOG = "/var/log/nginx/attacks.log"
# As Debian's own timer does it each night, with a state of the test's own.
# What a pipe or an endless file holds up, it holds up for ever.
LIMIT = "timeout 120"
TIMED_OUT = 124
ALL_LOGS = f"{LIMIT} /usr/sbin/logrotate --force --state /run/attacks.status /etc/logrotate.conf"
# A service that was set up by hand, whose user is the attacker.
ADOPTED: dict[str, Any] = {
    "service_name": "adopted",
    "service_user": HOSTILE,
    "service_supervisor": "process",
    "service_external_url": "http://127.0.0.1:4999/health",
    "service_external_pid_file": f"/srv/{HOSTILE}/home/adopted.pid",
    "service_external_logs": [f"/srv/{HOSTILE}/home/adopted.log"],
    "service_database_enabled": False,
    "service_required_secrets": [],
    "service_secrets": {},
    "logrotate_external_signal": "USR1",
}
ADOPTED_POLICY = "/etc/logrotate-adopted.conf"


@pytest.fixture
def held(host: Host, attacker: Attacker) -> Iterator[None]:
    """The watchdog does nothing while the pid file of PM2's daemon is another thing, which is put right at the end."""
    host.check_output(f"{HOSTILE}-watchdog pause --for 5m")
    pid = attacker.run(f"cat {PID_FILE}")
    try:
        yield
    finally:
        attacker.run(f'rm -f {PID_FILE} && printf %s "$1" > {PID_FILE}', pid)
        host.check_output(f"{HOSTILE}-watchdog resume")


@pytest.fixture
def large(host: Host) -> Iterator[str]:
    """A log of the neighbour's that is due."""
    path = f"/var/log/{NEIGHBOUR}/attacks.log"
    host.check_output(f"runuser -u {NEIGHBOUR} -- truncate -s 101M {path}")
    yield path
    host.check_output(f"rm -f {path}*")


@pytest.fixture
def in_nginx(host: Host) -> Iterator[str]:
    host.check_output(f"echo line > {NGINX_LOG} && chown www-data:adm {NGINX_LOG}")
    yield NGINX_LOG
    host.check_output(f"rm -f {NGINX_LOG}* /run/attacks.status")


@pytest.mark.usefixtures("held", "neighbour")
@pytest.mark.parametrize(
    "attack",
    [f"mkfifo {PID_FILE}", f"ln -s /dev/zero {PID_FILE}", f"echo ../../../dev/zero > {PID_FILE}"],
    ids=["pipe", "endless", "path"],
)
def test_no_pid_file_holds_up_the_hosts_rotation(
    host: Host, attacker: Attacker, large: str, in_nginx: str, attack: str
) -> None:
    attacker.run(f"rm -f {PID_FILE}; {attack}; echo line >> /var/log/{HOSTILE}/out.log")
    host.check_output(ALL_LOGS)
    assert host.file(f"{in_nginx}.1").content_string == "line\n"
    host.check_output(f"{LIMIT} systemctl start logrotate-{NEIGHBOUR}.service")
    assert host.file(f"{large}.1").size > 0
    # its own rotation ends as well, and its logs were renamed
    command = f"{LIMIT} logrotate --force --state /run/attacks.status /etc/logrotate-{HOSTILE}.conf"
    assert host.run(command).rc != TIMED_OUT
    assert "line\n" in host.file(f"/var/log/{HOSTILE}/out.log.1").content_string


@pytest.mark.usefixtures("neighbour")
def test_a_log_of_petabytes_holds_up_its_own_rotation_alone(
    host: Host, attacker: Attacker, large: str, in_nginx: str
) -> None:
    log = f"/var/log/{HOSTILE}/attacks.log"
    # without content, so that it costs nothing; gzip reads it for days
    attacker.run(f"echo line > {log}; truncate -s 15T {log}.1")
    try:
        host.check_output(ALL_LOGS)
        host.check_output(f"truncate -s 101M {log} && systemctl start --no-block logrotate-{HOSTILE}.service")
        host.check_output(f"{LIMIT} systemctl start logrotate-{NEIGHBOUR}.service")
        assert host.file(f"{in_nginx}.1").content_string == "line\n"
        assert host.file(f"{large}.1").size > 0
        limit = host.check_output(f"systemctl show --property=TimeoutStartUSec --value logrotate-{HOSTILE}.service")
        assert limit == "15min"
    finally:
        host.run(f"systemctl stop logrotate-{HOSTILE}.service; rm -f {log}*")


@pytest.fixture
def adopted(host: Host, attacker: Attacker) -> Iterator[str]:
    """Rotation of the logs of a service set up by hand; the path of its pid file."""
    ended = wait(playbook("molecule/attacks/adopted.yml", ADOPTED), 300)
    assert ended.code == 0, ended.output
    attacker.run(f"echo line > /srv/{HOSTILE}/home/adopted.log")
    yield ADOPTED["service_external_pid_file"]
    host.check_output("systemctl disable --now logrotate-adopted.timer")
    host.check_output(
        f"rm -rf {ADOPTED_POLICY} /var/lib/logrotate/adopted.status /etc/systemd/system/logrotate-adopted.*"
        f" /srv/adopted /var/log/adopted /srv/{HOSTILE}/home/adopted.*"
    )
    host.check_output("systemctl daemon-reload; systemctl stop attacks-victim attacks-own; true")


def rotated(host: Host, name: str) -> bool:
    """Rotates the adopted service's logs; whether the process, which dies of SIGUSR1, has got it."""
    host.run("timeout 40 logrotate --force --state /run/attacks.status %s", ADOPTED_POLICY)
    return host.run("systemctl is-active attacks-%s", name).rc != 0


@pytest.mark.usefixtures("neighbour")
def test_a_pid_file_with_the_neighbours_process_in_it_reaches_only_the_own_ones(
    host: Host, attacker: Attacker, adopted: str
) -> None:
    for name, user in (("victim", NEIGHBOUR), ("own", HOSTILE)):
        host.check_output(f"systemd-run --quiet --collect --unit=attacks-{name} --uid={user} sleep 600")
    for name, reached in (("victim", False), ("own", True)):
        pid = host.check_output(f"systemctl show --property=MainPID --value attacks-{name}")
        attacker.run(f'printf %s "$1" > {adopted}; echo line >> /srv/{HOSTILE}/home/adopted.log', pid)
        assert rotated(host, name) is reached, name


def test_the_hostile_service_is_as_it_was(host: Host, hostile: Service) -> None:
    assert {process["status"] for process in hostile.settled()["pm2"]} == {"online"}
    host.check_output(f"systemctl start logrotate-{HOSTILE}.service")
