# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of an earlier version, where all workers of a release share one socket, is brought over unnoticed."""

from __future__ import annotations

import pytest
from deployments import Service, assert_unnoticed, load, wait

GOING_AWAY = 1001
# The service as it was: the program is told the one socket, nothing but the logs is loaded before it, and Nginx and PM2
# know it by the link to that socket. The argument is the activation's name.
AS_IT_WAS = """
import json, os, pathlib, shutil, subprocess, sys
activation, socket = sys.argv[1], f"/run/shop/{sys.argv[1]}.sock"
service, nginx = pathlib.Path("/srv/shop"), pathlib.Path("/etc/nginx/services/shop/upstream.conf")

def pm2(*words):
    subprocess.run(["shop-pm2", *words], check=True, stdout=subprocess.DEVNULL)

ecosystem = service / "config/ecosystem.config.cjs"
head, export, apps = ecosystem.read_text().partition("module.exports = ")
stated = json.loads(apps.strip().removesuffix(";"))
(app,) = stated["apps"]
app["env"]["PORT"] = socket
app["node_args"] = app["node_args"][:-2]
assert "own-socket" not in str(app), app
pm2("delete", "all")
for path in pathlib.Path("/run/shop").iterdir():
    path.unlink()
ecosystem.write_text(f"{head}{export}{json.dumps(stated, indent=2, sort_keys=True)};\n")
pm2("start", str(ecosystem))
pm2("save", "--force")
(service / "active").unlink()
shutil.rmtree(service / "sockets")
(service / "active.sock").symlink_to(socket)
lines = nginx.read_text().splitlines()
first = next(number for number, line in enumerate(lines) if "active/0.sock" in line)
assert "active/1.sock" in lines.pop(first + 1)
lines[first] = "    server unix:/srv/shop/active.sock;"
nginx.write_text("\n".join(lines) + "\n")
subprocess.run(["systemctl", "reload", "nginx"], check=True)
"""


@pytest.fixture
def release(shop: Service) -> str:
    """The id of the release that runs as an earlier version ran it."""
    active = str(shop.settled()["active"])
    shop.host.check_output("python3 -c %s %s", AS_IT_WAS, active)
    return active.partition("+")[0]


def test_site_brings_it_over_without_a_failed_request(shop: Service, release: str, address: str) -> None:
    with load(address, "--host=shop.test", "--connections=16", "--websockets=10") as tally:
        run = wait(shop.start("site", watchdog_enabled=False))
        assert run.code == 0, run.output
    assert_unnoticed(tally, closed=(GOING_AWAY,))
    found = shop.settled()
    assert found["current"] == release
    # who still knows the old link is led to a worker of whatever is active
    assert shop.host.check_output("readlink /srv/shop/active.sock") == "/srv/shop/active/0.sock"
    assert shop.host.file("/etc/nginx/services/shop/upstream.conf").contains("active/1.sock")
    assert not wait(shop.start("site", watchdog_enabled=False)).changed
