# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of two deployments of a service at once the second one is told who is at work, and touches nothing."""

from __future__ import annotations

import getpass
import socket
import time
from pathlib import Path

from deployments import FROM_RELEASE, Service, release, wait

REACHED = "/srv/shop/shared/step"


def test_the_second_is_told_who_and_since_when(shop: Service, good: str, tmp_path: Path) -> None:
    shop.host.check_output(f"rm -f {REACHED}")
    rest = f"touch {REACHED}; while [ -e {REACHED} ]; do sleep 0.2; done"
    hook = {"before_switch": [["/bin/sh", "-c", rest]]}
    began = time.strftime("%Y-%m-%d", time.gmtime())
    first = shop.start("deploy", FROM_RELEASE, release_directory=release(tmp_path, "first"), pm2_hooks=hook)
    while not shop.host.file(REACHED).exists:
        assert first.poll() is None, wait(first).output
        time.sleep(0.2)
    second = wait(shop.start("deploy", FROM_RELEASE, release_directory=good))
    assert first.poll() is None
    shop.host.check_output(f"rm {REACHED}")
    assert second.code == 2
    for text in ("Another deployment is at work", f"{getpass.getuser()}@{socket.gethostname()}", began):
        assert text in second.output
    done = wait(first)
    assert done.code == 0, done.output
    found = shop.settled()
    assert found["previous"] != found["current"]
