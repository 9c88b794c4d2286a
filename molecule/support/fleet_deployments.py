# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small service of the scenario deploy on the hosts of a fleet: playbooks on it, and what is then on each host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import hosts
from deployments import AT_ONCE, VARIABLES, Run, load, wait
from fleet import APPS, INVENTORY, PROXIES, address_of
from hosts import host_of

LOG = "/var/log/nginx/shop.access.log"
LOAD = ("--host=shop.test", "--connections=8", "--websockets=6", "--pause=0.1")
# A host that has died is noticed within seconds; connections that are kept from earlier runs know nothing of that.
WATCHFUL = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ServerAliveInterval=2 -o ServerAliveCountMax=3"}


def start(
    playbook: str, *options: str, environment: Mapping[str, str] | None = None, **variables: Any
) -> subprocess.Popen[str]:
    """A playbook on the shop of the whole fleet, running."""
    return hosts.playbook(
        f"workbot.stability.{playbook}", variables, VARIABLES, *options, environment=environment, inventory=INVENTORY
    )


def play(playbook: str, *options: str, **variables: Any) -> Run:
    """The same, to its end, which may be any."""
    return wait(start(playbook, *options, **variables), 400)


def succeed(playbook: str, *options: str, **variables: Any) -> Run:
    run = play(playbook, *options, **variables)
    assert run.code == 0, run.output
    return run


@cache
def set_up() -> None:
    """The shop is on every host, behind the proxies. Once, whichever test comes first."""
    succeed("site", **AT_ONCE)


def active(name: str) -> str:
    """The release that serves on the host."""
    link = host_of(name).check_output("readlink /srv/shop/active")
    return link.rpartition("/")[2].partition("@")[0]


def releases() -> list[str]:
    """The same of all app hosts, in their order."""
    return [active(name) for name in APPS]


def nginx_workers(name: str) -> list[str]:
    """The processes of the host's Nginx that serve: a reload replaces them."""
    return sorted(host_of(name).check_output("pgrep -f 'nginx: worker process$'").split())


def requests(name: str) -> int:
    """How many requests the app host has answered by now."""
    return int(host_of(name).check_output(f"wc -l < {LOG}"))


@contextmanager
def loaded() -> Iterator[list[dict[str, Any]]]:
    """Steady load on both proxies; the tallies are there when it is over."""
    with ExitStack() as stack:
        yield [stack.enter_context(load(f"http://{address_of(proxy)}", *LOAD)) for proxy in PROXIES]
