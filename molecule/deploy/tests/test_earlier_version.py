# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of an earlier version (one PM2 for all releases, one socket for all workers) is brought over unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from deployments import Service, assert_unnoticed, load, wait

GOING_AWAY = 1001
WHAT_RUNS = "readlink /srv/shop/active.sock; ls /srv/shop /srv/shop/releases; pgrep -u shop --list-full"
# Nginx gets another configuration, and a reload closes idle connections: clients are told before.
SITE: dict[str, Any] = {"watchdog_enabled": False, "nginx_reload_announce": 5}
# The service as it was: one PM2 under one unit, started from one ecosystem file, and one socket for all workers, which
# nothing but the program makes. Nginx knows it by the link to that socket. The argument is the activation's name.
AS_IT_WAS = r"""
import json, pathlib, shutil, subprocess, sys
now, activation = sys.argv[1], sys.argv[1].replace("@", "+")
socket = f"/run/shop/{activation}.sock"
service, nginx = pathlib.Path("/srv/shop"), pathlib.Path("/etc/nginx/services/shop/upstream.conf")
units, home = pathlib.Path("/etc/systemd/system"), service / "home/.pm2"
UNIT = '''[Service]
Type=forking
User=shop
Group=shop
UMask=0007
WorkingDirectory=/
Environment=HOME=/srv/shop/home PM2_HOME=/srv/shop/home/.pm2 PATH=/opt/shop/bin:/usr/bin:/bin PM2_DISCRETE_MODE=true
ExecStart=/opt/shop/bin/pm2 ping
ExecStartPost=-/opt/shop/bin/pm2 start /srv/shop/config/ecosystem.config.cjs
ExecStop=/opt/shop/bin/pm2 kill
TimeoutStopSec=30

[Install]
WantedBy=multi-user.target
'''

def run(*words):
    subprocess.run(words, check=True)

ecosystem = service / "active/ecosystem.config.cjs"
head, export, apps = ecosystem.read_text().partition("module.exports = ")
stated = json.loads(apps.strip().removesuffix(";"))
(app,) = stated["apps"]
environment = service / "config/environments" / activation
environment.parent.mkdir(mode=0o755)
shutil.copy2(service / "active/environment", environment)
shutil.chown(environment, "shop", "shop")
app["env"].update(PORT=socket, PATH="/opt/shop/bin:/usr/local/bin:/usr/bin:/bin")
app["name"] = f"shop-{activation}"
app["node_args"] = [f"--env-file={environment}", *app["node_args"][1:-2]]
assert "own-socket" not in str(app), app
run("systemctl", "disable", "--now", "shop.service")
run("systemctl", "stop", f"shop@{now}.service")
for path in pathlib.Path("/run/shop").iterdir():
    path.unlink()
(service / "config/ecosystem.config.cjs").write_text(f"{head}{export}{json.dumps(stated)};\n")
(service / "active").unlink()
shutil.rmtree(service / "activations")
for name in ("shop.service", "shop@.service"):
    (units / name).unlink()
(units / "pm2-shop.service").write_text(UNIT)
home.mkdir(mode=0o700)
shutil.chown(home, "shop", "shop")
run("systemctl", "daemon-reload")
run("systemctl", "enable", "--now", "pm2-shop.service")
(service / "active.sock").unlink(missing_ok=True)
(service / "active.sock").symlink_to(socket)
lines = nginx.read_text().splitlines()
first = next(number for number, line in enumerate(lines) if "active/0.sock" in line)
assert "active/1.sock" in lines.pop(first + 1)
lines[first] = "    server unix:/srv/shop/active.sock;"
nginx.write_text("\n".join(lines) + "\n")
# not a reload: the old workers would go on for a moment
run("systemctl", "restart", "nginx")
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
    assert not shop.host.file("/etc/systemd/system/pm2-shop.service").exists
    assert not shop.host.file("/srv/shop/home/.pm2").exists
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
