# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of the test host without room: a small file system of its own, and that is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nginx_sites import mounted
from testinfra.host import Host

KEPT = "/var/tmp/molecule-full"


@contextmanager
def full(host: Host, directory: str) -> Iterator[Callable[[], object]]:
    """With what is in the directory, which stays in the end. Calling what is given makes room."""

    def make_room() -> None:
        host.check_output("rm -f %s/filler", directory)

    def copy(source: str, target: str) -> None:
        host.check_output("rm -rf %s && cp -a %s %s", target, source, target)

    copy(directory, KEPT)
    # cp leaves the sticky bit that such a file system has otherwise
    with mounted(directory, "size=1m,mode=0755"):
        host.check_output("cp -a %s/. %s", KEPT, directory)
        assert "No space left" in host.run("LC_ALL=C dd if=/dev/zero of=%s/filler bs=4k", directory).stderr
        try:
            yield make_room
        finally:
            make_room()
            copy(directory, KEPT)
    copy(KEPT, directory)
    host.check_output("rm -rf %s", KEPT)
