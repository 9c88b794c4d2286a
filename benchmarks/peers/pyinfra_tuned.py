"""The same with pyinfra, tuned: a second run asks the host by one command, and operations are made only for what is
missing or differs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd

WORK = Path(os.environ["SPEED_WORK"])
FILES = WORK / "files"
SETTINGS = dict(line.split("=", 1) for line in (FILES / "settings").read_text().replace("'", "").splitlines())
PACKAGES = ["ca-certificates", "cron", "curl", "libatomic1", "logrotate", "nginx", "node-corepack", "postgresql"]
POSTGRESQL = f"/etc/postgresql/{SETTINGS['postgresql']}/main/conf.d/shop.conf"
AUTHORITIES = "/usr/local/share/ca-certificates/shop-extra.crt"
UNIT, SITE = "/etc/systemd/system/pm2-shop.service", "/etc/nginx/conf.d/shop.conf"
# source, destination, owner, mode
TREE = [
    ("extra-ca.crt", AUTHORITIES, "root", "644"),
    ("environment", "/srv/shop/environment", "shop", "600"),
    ("ecosystem.config.cjs", "/srv/shop/ecosystem.config.cjs", "root", "644"),
    ("shop.postgresql.conf", POSTGRESQL, "root", "644"),
    ("pm2-shop.service", UNIT, "root", "644"),
    ("shop.logrotate", "/etc/logrotate.d/shop", "root", "644"),
    ("shop.cron", "/etc/cron.d/shop", "root", "644"),
    ("shop.nginx.conf", SITE, "root", "644"),
]
PSQL = "cd /var/lib/postgresql && runuser -u postgres -- psql -q"
QUESTION = "; ".join(
    [
        f"dpkg-query -Wf '${{db:Status-Status}}\\n' {' '.join(PACKAGES)} 2>/dev/null | grep -cx installed",
        "getent passwd shop | wc -l",
        "cat /opt/shop/versions 2>/dev/null || echo none",
        "cat /srv/shop/app/.built 2>/dev/null || echo none",
        "test -e /etc/nginx/sites-enabled/default && echo default || echo gone",
        "systemctl is-active pm2-shop nginx postgresql | sort -u | tr '\\n' ' '; echo",
        f"{PSQL} -tAc \"SELECT count(*) FROM pg_database WHERE datname = 'shop'\" 2>/dev/null || echo 0",
        f"sha256sum {' '.join(path for _name, path, _owner, _mode in TREE)} 2>/dev/null",
        "true",
    ]
)
answer = host.get_fact(Command, QUESTION).splitlines()
packages, user, versions, built, default, states, database, *sums = answer
there = {path: digest for digest, path in (line.split(maxsplit=1) for line in sums)}


def due(name: str, path: str) -> bool:
    return there.get(path) != hashlib.sha256((FILES / name).read_bytes()).hexdigest()


changed = {path for name, path, _owner, _mode in TREE if due(name, path)}
if packages != str(len(PACKAGES)):
    apt.packages(packages=PACKAGES, update=True, no_recommends=True)
if user != "1":
    server.user(user="shop", home="/srv/shop/home", shell="/usr/sbin/nologin", system=True, create_home=False)
    for directory in ("/srv/shop", "/srv/shop/home", "/srv/shop/app", "/var/log/shop"):
        files.directory(path=directory, user="shop", group="shop")
for name, path, owner, mode in TREE:
    if path in changed:
        files.put(src=str(FILES / name), dest=path, user=owner, group=owner, mode=mode)
if AUTHORITIES in changed:
    server.shell(commands=["update-ca-certificates"])
if versions != SETTINGS["versions"]:
    files.put(src=str(FILES / "toolchain.sh"), dest="/root/toolchain.sh")
    server.shell(commands=[f"sh /root/toolchain.sh {SETTINGS['versions']}"])
if POSTGRESQL in changed:
    systemd.service(service="postgresql", restarted=True)
if database != "1":
    files.put(src=str(FILES / "indexes.sql"), dest="/var/lib/postgresql/indexes.sql")
    files.put(src=str(WORK / "app/db/schema.sql"), dest="/var/lib/postgresql/schema.sql")
    server.shell(
        commands=[
            f"{PSQL} -c \"CREATE ROLE shop LOGIN PASSWORD '{SETTINGS['password']}'\"",
            f"{PSQL} -c 'CREATE DATABASE shop OWNER shop'",
            f"{PSQL} -c 'CREATE EXTENSION pg_stat_statements' shop",
            f"{PSQL} -c 'SET ROLE shop' -f schema.sql -f indexes.sql shop",
        ]
    )
if built != SETTINGS["digest"]:
    files.sync(src=str(WORK / "app"), dest="/srv/shop/app", user="shop", group="shop")
    files.put(src=str(FILES / "build.sh"), dest="/srv/shop/build.sh")
    server.shell(commands=[f"runuser -u shop -- sh /srv/shop/build.sh {SETTINGS['digest']}"])
if states.split() != ["active"] or UNIT in changed:
    systemd.service(service="pm2-shop", running=True, enabled=True, daemon_reload=UNIT in changed)
# Nginx's package brings it.
if default == "default" or packages != str(len(PACKAGES)):
    files.link(path="/etc/nginx/sites-enabled/default", present=False)
if default == "default" or SITE in changed:
    server.shell(commands=["nginx -t -q && systemctl reload nginx"])
server.shell(commands=["curl -fsS --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1/health"])
