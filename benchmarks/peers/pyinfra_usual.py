"""The service set up with pyinfra, as its documentation shows operations: one for each thing."""

from __future__ import annotations

import os
from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, postgres, server, systemd

WORK = Path(os.environ["SPEED_WORK"])
FILES = WORK / "files"
SETTINGS = dict(line.split("=", 1) for line in (FILES / "settings").read_text().replace("'", "").splitlines())

apt.packages(
    packages=["ca-certificates", "cron", "curl", "libatomic1", "logrotate", "nginx", "node-corepack", "postgresql"],
    update=True,
    cache_time=3600,
    no_recommends=True,
)
if (FILES / "extra-ca.crt").stat().st_size:
    authority = files.put(src=str(FILES / "extra-ca.crt"), dest="/usr/local/share/ca-certificates/shop-extra.crt")
    server.shell(commands=["update-ca-certificates"], _if=authority.did_change)

server.group(group="shop", system=True)
server.user(user="shop", group="shop", home="/srv/shop/home", shell="/usr/sbin/nologin", system=True, create_home=False)
for directory in ("/srv/shop", "/srv/shop/home", "/srv/shop/app", "/var/log/shop"):
    files.directory(path=directory, user="shop", group="shop")
environment = files.put(
    src=str(FILES / "environment"), dest="/srv/shop/environment", user="shop", group="shop", mode="600"
)
ecosystem = files.put(src=str(FILES / "ecosystem.config.cjs"), dest="/srv/shop/ecosystem.config.cjs")

installed = host.get_fact(Command, "cat /opt/shop/versions 2>/dev/null || true")
if installed != SETTINGS["versions"]:
    files.put(src=str(FILES / "toolchain.sh"), dest="/root/toolchain.sh")
    server.shell(commands=[f"sh /root/toolchain.sh {SETTINGS['versions']}"])

database = files.put(
    src=str(FILES / "shop.postgresql.conf"), dest=f"/etc/postgresql/{SETTINGS['postgresql']}/main/conf.d/shop.conf"
)
systemd.service(service="postgresql", restarted=True, _if=database.did_change)
postgres.role(role="shop", password=SETTINGS["password"], login=True, _sudo_user="postgres")
made = postgres.database(database="shop", owner="shop", _sudo_user="postgres")
files.put(src=str(WORK / "app/db/schema.sql"), dest="/var/lib/postgresql/schema.sql")
files.put(src=str(FILES / "indexes.sql"), dest="/var/lib/postgresql/indexes.sql")
psql = "cd /var/lib/postgresql && runuser -u postgres -- psql -q"
server.shell(
    commands=[
        f"{psql} -c 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements' shop",
        f"{psql} -c 'SET ROLE shop' -f schema.sql -f indexes.sql shop",
    ],
    _if=made.did_change,
)

built = host.get_fact(Command, "cat /srv/shop/app/.built 2>/dev/null || true")
if built != SETTINGS["digest"]:
    files.sync(src=str(WORK / "app"), dest="/srv/shop/app", user="shop", group="shop")
    files.put(src=str(FILES / "build.sh"), dest="/srv/shop/build.sh")
    server.shell(commands=[f"runuser -u shop -- sh /srv/shop/build.sh {SETTINGS['digest']}"])

unit = files.put(src=str(FILES / "pm2-shop.service"), dest="/etc/systemd/system/pm2-shop.service")
systemd.daemon_reload(_if=unit.did_change)
systemd.service(service="pm2-shop", running=True, enabled=True)
systemd.service(service="pm2-shop", reloaded=True, _if=lambda: environment.did_change() or ecosystem.did_change())

files.put(src=str(FILES / "shop.logrotate"), dest="/etc/logrotate.d/shop")
files.put(src=str(FILES / "shop.cron"), dest="/etc/cron.d/shop")
default = files.link(path="/etc/nginx/sites-enabled/default", present=False)
site = files.put(src=str(FILES / "shop.nginx.conf"), dest="/etc/nginx/conf.d/shop.conf")
server.shell(commands=["nginx -t -q && systemctl reload nginx"], _if=lambda: default.did_change() or site.did_change())
server.shell(commands=["curl -fsS --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1/health"])
