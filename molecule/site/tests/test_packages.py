# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages are installed on a host that another run has left half done, too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from edge import on_host

PACKAGE = "tree"
LISTS = "/var/lib/apt/lists"
# As apt does it; flock(1) makes locks of another kind. It is held until the module's apt has met it.
LOCK = "import fcntl, time; file = open('%s', 'w'); fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(300)"
MET = "until pgrep --exact apt-get; do sleep 0.01; done; sleep 2; systemctl stop molecule-apt"


def install(*names: str) -> subprocess.CompletedProcess[str]:
    return on_host("packages", {"name": names})


@contextmanager
def without_lists(host: Any) -> Iterator[None]:
    """As an image of Debian comes."""
    host.check_output(f"mv {LISTS} {LISTS}.aside && mkdir {LISTS}")
    try:
        yield
    finally:
        host.check_output(f"rm -rf {LISTS} && mv {LISTS}.aside {LISTS}")


def test_what_dpkg_was_interrupted_in_is_finished_first(host: Any) -> None:
    """As when the power goes while a package is set up: apt refuses everything until then."""
    host.check_output("dpkg --status logrotate > /var/lib/dpkg/updates/0001")
    assert "dpkg was interrupted" in host.run(f"apt-get install -y {PACKAGE}").stderr
    try:
        done = install(PACKAGE)
        assert done.returncode == 0, done.stdout
        assert host.package(PACKAGE).is_installed
        assert host.check_output("ls /var/lib/dpkg/updates") == ""
    finally:
        host.check_output(f"dpkg --configure -a && dpkg --purge {PACKAGE}")


@pytest.mark.parametrize(("lock", "said"), [("/var/lib/dpkg/lock-frontend", False), (f"{LISTS}/lock", True)])
def test_another_apt_is_waited_for(host: Any, lock: str, said: bool) -> None:
    """For dpkg's lock apt-get itself waits; where it does not, the run says so."""
    try:
        with without_lists(host):
            host.check_output("systemd-run --quiet --unit=molecule-apt python3 -c %s", LOCK % lock)
            host.check_output("timeout 10 sh -c 'until test -e %s; do sleep 0.2; done'", lock)
            host.check_output("systemd-run --quiet --collect --property=RuntimeMaxSec=300 sh -c %s", MET)
            done = install(PACKAGE)
            assert done.returncode == 0, done.stdout
            assert host.package(PACKAGE).is_installed
            assert ("another apt is at work there; waiting for it" in done.stdout + done.stderr) is said
    finally:
        host.check_output(f"dpkg --purge {PACKAGE}")


def test_what_there_is_no_package_of_is_named(host: Any) -> None:
    done = install(PACKAGE, "molecule-nothing")
    assert done.returncode != 0
    assert "E: Unable to locate package molecule-nothing" in done.stdout
    assert not host.package(PACKAGE).is_installed


def test_a_list_that_cannot_be_fetched_matters_to_its_own_packages_alone(host: Any) -> None:
    source = "/etc/apt/sources.list.d/molecule-broken.list"
    host.check_output("echo 'deb [trusted=yes] http://127.0.0.1:9/ nothing main' > %s", source)
    try:
        with without_lists(host):
            done = install("molecule-nothing")
            assert "http://127.0.0.1:9" in done.stdout
            done = install(PACKAGE)
            assert done.returncode == 0, done.stdout
            assert host.package(PACKAGE).is_installed
    finally:
        host.check_output("rm %s; dpkg --purge %s", source, PACKAGE)
