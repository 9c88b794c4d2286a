# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of an earlier version, where all workers of a release share one socket, is brought over unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from deployments import Service, assert_unnoticed, load, wait

GOING_AWAY = 1001
WHAT_RUNS = "readlink /srv/shop/active.sock; ls /srv/shop /srv/shop/releases; pgrep -u shop --list-full"
# Nginx gets another configuration, and a reload closes idle connections: clients are told before.
SITE: dict[str, Any] = {"watchdog_enabled": False, "nginx_reload_announce": 5}
# The service as it was: the program is told the one socket, nothing but the logs is loaded before it, and Nginx and PM2
# know it by the link to that socket. The argument is the activation's name.
AS_IT_WAS = r"""
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
(service / "active.sock").unlink(missing_ok=True)
(service / "active.sock").symlink_to(socket)
lines = nginx.read_text().splitlines()
first = next(number for number, line in enumerate(lines) if "active/0.sock" in line)
assert "active/1.sock" in lines.pop(first + 1)
lines[first] = "    server unix:/srv/shop/active.sock;"
nginx.write_text("\n".join(lines) + "\n")
# not a reload: the old workers would go on for a moment
subprocess.run(["systemctl", "restart", "nginx"], check=True)
"""


@pytest.fixture
def before(shop: Service, good: str) -> None:
    """The service runs a good release as an earlier version ran it."""
    assert good
    shop.host.check_output("python3 -c %s %s", AS_IT_WAS, str(shop.settled()["active"]))


@pytest.mark.usefixtures("before")
def test_site_brings_it_over_without_a_failed_request(shop: Service, address: str) -> None:
    with load(address, "--host=shop.test", "--connections=16", "--websockets=10") as tally:
        run = wait(shop.start("site", **SITE))
        assert run.code == 0, run.output
    assert_unnoticed(tally, closed=(GOING_AWAY,))
    shop.settled()
    # who still knows the old link is led to a worker of whatever is active
    assert shop.host.check_output("readlink /srv/shop/active.sock") == "/srv/shop/active/0.sock"
    assert shop.host.file("/etc/nginx/services/shop/upstream.conf").contains("active/1.sock")
    assert not wait(shop.start("site", **SITE)).changed


@pytest.mark.usefixtures("before")
def test_a_deployment_asks_for_site_yml_first(shop: Service, good: str) -> None:
    found = shop.host.check_output(WHAT_RUNS)
    run = wait(shop.start("deploy", release_directory=good))
    assert run.code != 0
    assert "an earlier version of the collection has set up this host. Apply site.yml first" in run.output
    assert shop.host.check_output(WHAT_RUNS) == found
    assert wait(shop.start("site", **SITE)).code == 0
