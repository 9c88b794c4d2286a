# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that puts a link in the place of its socket makes neither Nginx nor root ask the neighbour in its name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from attacks import HOSTILE, Attacker
from deployments import Service
from testinfra.host import Host
from waiting import until

ACTIVE = "/srv/{}/active/0.sock"
# Prints what a user gets who connects there: "connected", or the error.
CONNECT = textwrap.dedent(
    """
    import socket, sys
    try:
        socket.socket(socket.AF_UNIX).connect(sys.argv[1])
        print("connected")
    except OSError as error:
        print(type(error).__name__)
    """
)
# Prints the status of Nginx's answer for that host.
STATUS = textwrap.dedent(
    """
    import http.client, sys
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    connection.request("GET", "/no-such-page", headers={"Host": sys.argv[1]})
    print(connection.getresponse().status)
    """
)


def connects(host: Host, user: str, path: str) -> str:
    output: str = host.check_output("runuser -u %s -- python3 -c %s %s", user, CONNECT, path)
    return output


def target(host: Host, name: str) -> str:
    output: str = host.check_output("readlink %s", ACTIVE.format(name))
    return output


@pytest.fixture
def link(host: Host, attacker: Attacker, neighbour: Service) -> Iterator[str]:
    """The first of links to the neighbour's socket in the place of the service's own, until the end of the test."""
    foreign = target(host, neighbour.name)
    own = host.check_output(f"readlink {PurePosixPath(ACTIVE.format(HOSTILE)).parent}/*.sock").split()
    for path in own:
        attacker.run('mv "$1" "$1.away"; ln -s "$2" "$1"', path, foreign)
    yield own[0]
    for path in own:
        attacker.run('rm "$1"; mv "$1.away" "$1"', path)


def test_nginx_does_not_ask_the_neighbour_by_a_link(host: Host, link: str, neighbour: Service) -> None:
    assert connects(host, "www-data", ACTIVE.format(neighbour.name)) == "connected"
    assert host.check_output("readlink %s", link) == target(host, neighbour.name)
    assert connects(host, "www-data", ACTIVE.format(HOSTILE)) == "PermissionError"
    # through connections that Nginx has kept from before, its own workers may answer for a few seconds
    until("Nginx finds nobody", lambda: host.check_output("python3 -c %s %s", STATUS, f"{HOSTILE}.test") == "502", 8)


@pytest.mark.usefixtures("link")
def test_root_does_not_either(host: Host) -> None:
    assert connects(host, "root", ACTIVE.format(HOSTILE)) == "PermissionError"


def test_the_service_can_not_change_the_directory_itself(host: Host, attacker: Attacker) -> None:
    directory = str(PurePosixPath(target(host, HOSTILE)).parent)
    for attempt in ("chmod 0700 {0}", "mv {0} {0}.away", "rmdir {0}"):
        assert attacker.run("{ " + attempt.format(directory) + "; } 2>&1 || echo refused").endswith("refused"), attempt


def test_nobody_else_gets_into_the_directory(host: Host, attacker: Attacker, neighbour: Service) -> None:
    foreign, own = target(host, neighbour.name), target(host, HOSTILE)
    assert connects(host, "nobody", own) == "PermissionError"
    assert connects(host, attacker.name, foreign) == "PermissionError"
    place = PurePosixPath(foreign).parent
    assert (
        attacker.run(f"{{ ls {place} || touch {place}/x || ln -s /etc {place}/y; }} 2>/dev/null || echo refused")
        == "refused"
    )
    assert attacker.run(f"ln {foreign} {PurePosixPath(own).parent}/hard 2>/dev/null || echo refused") == "refused"


def test_what_makes_the_kernel_refuse_is_on(host: Host) -> None:
    assert host.check_output("sysctl -n fs.protected_symlinks") == "1"


def test_the_service_serves_on_its_socket(host: Host, hostile: Service, neighbour: Service) -> None:
    for service in (hostile, neighbour):
        assert connects(host, "www-data", ACTIVE.format(service.name)) == "connected"
        assert {process["status"] for process in service.settled()["pm2"]} == {"online"}
