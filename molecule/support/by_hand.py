# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three services set up by hand on the test host, as they are before anybody has heard of the roles."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from hosts import ROOT, playbook, put
from testinfra.host import Host

INVENTORY = "molecule/adopt/inventory/hosts.yml"
NAMES = ("byhand", "byunit", "legacy")
PASSWORD = "of-the-database-that-was-there-1234"
SECRET = "a-secret-that-only-the-service-has-0123456789"
SERVER = (ROOT / "molecule/adopt/fixtures/legacy/server.js").read_text(encoding="utf-8")
NODE = "/opt/workbot/bin/node"
PM2_UNIT = "/etc/systemd/system/pm2-appuser.service"
SITE = "/etc/nginx/sites-available/by-hand-legacy"
LINK = "/etc/nginx/sites-enabled/by-hand-legacy"
PM2 = (
    "cd / && setpriv --reuid appuser --regid appuser --clear-groups env -i HOME=/home/appuser"
    " PM2_HOME=/home/appuser/.pm2 PATH=/opt/workbot/bin:/usr/bin:/bin PM2_DISCRETE_MODE=true pm2 "
)


def server_block(name: str, port: int) -> str:
    return textwrap.dedent(
        f"""
        server {{
            listen 80;
            server_name {name}.test;
            location / {{
                proxy_pass http://127.0.0.1:{port};
                proxy_set_header Host $host;
            }}
        }}
        """
    )


def unit(user: str, service: str) -> str:
    return f"[Service]\nUser={user}\n{service}\n[Install]\nWantedBy=multi-user.target\n"


FILES = {
    "/opt/byhand-app/server.js": SERVER,
    "/opt/byunit-app/server.js": SERVER,
    "/home/appuser/legacy/server.js": SERVER,
    "/home/appuser/legacy/ecosystem.config.js": "module.exports = "
    + json.dumps(
        {
            "apps": [
                {
                    "name": "legacy",
                    "script": "/home/appuser/legacy/server.js",
                    "exec_mode": "cluster",
                    "instances": 2,
                    "out_file": "/home/appuser/logs/out.log",
                    "error_file": "/home/appuser/logs/error.log",
                    "merge_logs": True,
                    "env": {"PORT": "4103", "RUNS_UNDER": "pm2 by hand", "JWT_SECRET": SECRET},
                }
            ]
        }
    ),
    "/etc/systemd/system/byunit.service": unit(
        "byunit",
        "Environment=PORT=4102 LOG=/opt/byunit-app/out.log RUNS_UNDER=systemd"
        f" JWT_SECRET={SECRET}\nExecStart={NODE} /opt/byunit-app/server.js\nRestart=on-failure\n",
    ),
    # as `pm2 startup` writes it
    PM2_UNIT: unit(
        "appuser",
        "Type=forking\nEnvironment=PATH=/opt/workbot/bin:/usr/bin:/bin PM2_HOME=/home/appuser/.pm2"
        " PM2_DISCRETE_MODE=true\nPIDFile=/home/appuser/.pm2/pm2.pid\nExecStart=/opt/workbot/bin/pm2 resurrect\n"
        "ExecStop=/opt/workbot/bin/pm2 kill\n",
    ),
    "/etc/nginx/sites-available/by-hand": server_block("byhand", 4101) + server_block("byunit", 4102),
    SITE: server_block("legacy", 4103),
}
USERS = {"byhand": "/opt/byhand-app", "byunit": "/opt/byunit-app", "appuser": "/home/appuser"}
DATABASE = f"CREATE ROLE byhand LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE byhand OWNER byhand;"
TABLE = "CREATE TABLE orders (id int PRIMARY KEY, made_at timestamptz NOT NULL); ALTER TABLE orders OWNER TO byhand;"
ACCESS = "host byhand byhand 127.0.0.1/32 scram-sha-256 # by hand"


def set_up(host: Host) -> None:
    tear_down(host)
    for user, home in USERS.items():
        host.check_output(f"useradd --system --user-group --home-dir {home} --create-home {user}")
    for path, text in FILES.items():
        put(host, path, text)
    host.check_output("mkdir -p /home/appuser/logs")
    for user, home in USERS.items():
        host.check_output(f"chown -R {user}: {home}")
    start_shell(host)
    host.check_output("systemctl daemon-reload && systemctl enable --now byunit.service")
    host.check_output(PM2 + "start /home/appuser/legacy/ecosystem.config.js && " + PM2 + "save && " + PM2 + "kill")
    host.check_output("systemctl enable --now pm2-appuser.service")
    host.check_output(f"ln -sf {SITE} {LINK} && ln -sf ../sites-available/by-hand /etc/nginx/sites-enabled/by-hand")
    host.check_output("nginx -t && systemctl reload nginx")
    host.check_output("cd / && runuser -u postgres -- psql -v ON_ERROR_STOP=1 -c %s -c %s", *DATABASE.split("; "))
    host.check_output("cd / && runuser -u postgres -- psql -v ON_ERROR_STOP=1 -d byhand -c %s", TABLE)
    host.check_output(f"sed -i '1i {ACCESS}' /etc/postgresql/*/main/pg_hba.conf && systemctl reload 'postgresql@*'")


def start_shell(host: Host) -> None:
    """As somebody does who logs in and types it."""
    environment = f"PORT=4101 RUNS_UNDER=nohup JWT_SECRET={SECRET}"
    command = f"nohup env {environment} {NODE} server.js > out.log 2>&1 &"
    # a scope of its own: the test's login ends, and what was started from it stays
    host.check_output("systemd-run --scope --quiet --unit=byhand-shell runuser -u byhand -- sh -c %s", f"cd; {command}")


def tear_down(host: Host) -> None:
    """Everything of them, and what the roles have put around them."""
    for name in NAMES:
        host.run(f"systemctl disable --now {name}-watchdog.service {name}-watchdog-act.socket logrotate-{name}.timer")
        host.run(
            f"rm -rf /etc/systemd/system/{name}-watchdog* /etc/systemd/system/logrotate-{name}.* /etc/cron.d/{name}-*"
            f" /etc/logrotate-{name}.conf /usr/local/bin/{name}-* /usr/local/lib/{name}-* /var/lib/{name}-watchdog"
            f" /var/lib/{name}-diagnose /var/log/{name} /srv/{name} /usr/local/share/ca-certificates/{name}-extra.crt"
        )
    host.run("update-ca-certificates --fresh")
    host.run("systemctl disable --now legacy.service pm2-appuser.service byunit.service")
    host.run("systemctl stop byhand-shell.scope")
    host.run("rm -rf /etc/systemd/system/legacy.service /etc/systemd/system/legacy@.service /opt/legacy")
    host.run("rm -rf /etc/tmpfiles.d/legacy.conf /run/legacy")
    host.run("rm -f /etc/nginx/conf.d/legacy.conf /var/lib/nginx_site/legacy.json /var/log/nginx/legacy.*")
    host.run("rm -rf /var/www/legacy-acme")
    # what it shared with other sites, if there are any
    host.run("grep -qs 00-unknown-hosts /var/lib/nginx_site/*.json || rm -f /etc/nginx/conf.d/00-unknown-hosts-*")
    host.run(f"rm -f {LINK} /etc/nginx/sites-enabled/by-hand && nginx -t && systemctl reload nginx")
    host.run("cd / && runuser -u postgres -- psql -c 'DROP DATABASE IF EXISTS byhand' -c 'DROP ROLE IF EXISTS byhand'")
    host.run("sed -i '/# by hand$/d' /etc/postgresql/*/main/pg_hba.conf && systemctl reload 'postgresql@*'")
    host.run(f"rm -f {' '.join(path for path in FILES if path.startswith('/etc/'))} && systemctl daemon-reload")
    for user in (*USERS, "legacy"):
        host.run(f"pkill -KILL -u {user}; userdel --remove {user}; groupdel {user}")
    host.run("rm -rf " + " ".join(USERS.values()))


def run(tags: str, *options: str, **variables: Any) -> tuple[int, str]:
    """The site playbook on the three services at once: its exit status, and what it printed as one line."""
    tagged = [f"--tags={tags}"] if tags else []
    given = {"adopt_password": PASSWORD, **variables}
    running = playbook("workbot.stability.site", given, *tagged, *options, inventory=INVENTORY)
    output, _none = running.communicate(timeout=900)
    return running.returncode, " ".join(output.split())


def changes(output: str) -> Mapping[str, int]:
    """How much each service's part of a run changed, from Ansible's recap."""
    return {name: int(count) for name, count in re.findall(r"(\w+) : ok=\d+ changed=(\d+)", output)}


def processes(host: Host) -> set[str]:
    """What runs of the services themselves, of PM2 and of Nginx and PostgreSQL: id, start and command line."""
    listing = host.check_output("ps -eo pid,lstart,args --no-headers")
    wanted = re.compile(r"server\.js|PM2 v|God Daemon|nginx: |bin/postgres ")
    return {line.strip() for line in listing.splitlines() if wanted.search(line) and "grep" not in line}


def files(host: Host) -> str:
    """Everything that is not the roles', with owner, mode and content; logs and what PM2 writes left out."""
    places = "/opt/byhand-app /opt/byunit-app /home/appuser /etc/nginx /etc/postgresql"
    found = f"find {places} -not -path '*/.pm2/*' -not -name '*.log*'"
    return str(
        host.check_output(f"{found} -printf '%M %u:%g %p %l\\n' | sort; {found} -type f -exec sha256sum {{}} + | sort")
    )


def status(host: Host, name: str) -> dict[str, Any]:
    """What the watchdog sees. Its exit status tells the same and is no failure of the command."""
    found: dict[str, Any] = json.loads(host.run(f"{name}-watchdog status --json").stdout)
    return found


def diagnosis(host: Host, name: str, *checks: str) -> dict[str, Any]:
    """The findings of some checks, by name."""
    chosen = " ".join(f"--check {check}" for check in checks)
    report = json.loads(host.run(f"{name}-diagnose --json {chosen}").stdout)
    return {finding["check"]: finding for finding in report["findings"]}
