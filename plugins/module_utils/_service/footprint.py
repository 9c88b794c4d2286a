# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a service on a host: the one list of it, for its removal and for the check of the documents.

docs/layout-on-the-host.md says what each of these is. What is not the service's alone is in `SHARED`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """Whose things these are. All but the name has the value that the variable of the role has."""

    name: str
    user: str
    group: str
    directory: str
    log_directory: str
    run_directory: str
    alert_user: str = ""
    acme_webroot: str = ""
    textfile_directory: str = ""
    database: str = ""
    database_roles: tuple[str, ...] = ()
    tools_only: bool = False
    """It runs under something else: what watches it is of these roles, the service itself is not."""

    @property
    def home(self) -> str:
        return f"{self.directory}/home"

    @property
    def pm2_unit(self) -> str:
        return f"pm2-{self.name}.service"

    @property
    def marker(self) -> str:
        """What stands at both ends of the service's lines in PostgreSQL's files."""
        return f"# {{mark}} {self.name}, managed by Ansible"


@dataclass(frozen=True)
class Place:
    """A path, whose last part may have a * in it. `data` goes only when that was said twice."""

    path: str
    data: bool = False
    mark: str = ""
    """A text that the file has, or a name in the directory, if it is of these roles: the name may be anybody's."""
    unless: str = ""
    """A file that is there if the path is another service's: "shop-alert" may be one, and the alerts of "shop"."""


# Of the whole host. The first stays while another site is there, the next three until the last that shares them goes,
# the last four for good: they are the servers'.
HARDENING = "/etc/systemd/system/nginx.service.d/hardening.conf"
SHARED = (
    HARDENING,
    "/etc/nginx/conf.d/00-unknown-hosts-<port>.conf",
    "/etc/nginx/conf.d/00-variables.conf",
    "/etc/nginx/modules-enabled/90-worker-limits.conf",
    "/run/nginx_closing",
    "/run/nginx-restarts",
    "/etc/postgresql-common/tls",
    "/etc/systemd/system/postgresql@<version>-main.service.d/network.conf",
)
UNITS = "/etc/systemd/system"
# What the tools around a service have in its directory for configuration.
TOOL_FILES = (
    *("environment", "diagnose.json", "diagnosis.pgpass", "database-ca.pem"),
    *("watchdog.json", "alert.json", "alert-secrets.json"),
)


def watching_units(service: Service) -> list[str]:
    """Whatever would bring the service back, look at it, or tell people that it is gone. A timer before its service."""
    name = service.name
    return [
        f"{name}-watchdog.service",
        f"{name}-watchdog-act.socket",
        f"{name}-watchdog-act@.service",
        f"{name}-alert.timer",
        f"{name}-alert.path",
        f"{name}-alert.service",
        f"{name}-alert-metrics.service",
        f"logrotate-{name}.timer",
        f"logrotate-{name}.service",
    ]


def schedule(service: Service) -> Place:
    return Place(f"/etc/cron.d/{service.name}-diagnose")


def site_places(service: Service) -> list[Place]:
    """What of the site is in no record of nginx_site: certificates that were made for trials, and the logs."""
    name = service.name
    return [
        Place(f"/etc/nginx/services/{name}"),
        # any other may be for several services, or be more than challenges
        *([Place(service.acme_webroot)] if service.acme_webroot.endswith(f"/{name}-acme") else []),
        Place(f"/var/log/nginx/{name}.access.log*", data=True),
        Place(f"/var/log/nginx/{name}.error.log*", data=True),
    ]


def site_file(service: Service) -> str:
    """Relative to Nginx's directory."""
    return f"conf.d/{service.name}.conf"


def own_places(service: Service) -> list[Place]:
    """What the service has once nothing of it runs. A directory that holds data also has a line as a whole."""
    config, logs = f"{service.directory}/config", Place(service.log_directory, data=True)
    if service.tools_only:
        # the directory may be the service's as well
        return [*_tool_places(service), *(Place(f"{config}/{name}", data=True) for name in TOOL_FILES), logs]
    return [
        *_tool_places(service),
        *_running_places(service),
        Place(config, data=True),
        Place(f"{service.directory}/shared", data=True),
        Place(service.home, data=True),
        Place(service.directory, data=True),
        logs,
    ]


def _tool_places(service: Service) -> list[Place]:
    name = service.name
    return [
        # the second is where it was in 0.1.0
        *(
            Place(path, mark=f"{service.log_directory}/")
            for path in (f"/etc/logrotate-{name}.conf", f"/etc/logrotate.d/{name}")
        ),
        Place(f"/var/lib/logrotate/{name}.status"),
        *(Place(f"/usr/local/bin/{name}-{command}") for command in ("diagnose", "watchdog", "alert")),
        *(Place(f"/usr/local/lib/{name}-{helper}") for helper in ("watchdog-act", "alert-metrics")),
        *([Place(f"{service.textfile_directory}/{name}.prom")] if service.textfile_directory else []),
        *(Place(f"/var/lib/{name}-{part}") for part in ("diagnose", "watchdog", "alert")),
        *(
            Place(f"/run/{name}-{part}", unless=f"/etc/tmpfiles.d/{name}-{part}.conf")
            for part in ("watchdog", "watchdog-act", "watchdog-act.sock", "alert")
        ),
    ]


def _running_places(service: Service) -> list[Place]:
    name, directory = service.name, service.directory
    return [
        Place(f"/etc/tmpfiles.d/{name}.conf", mark=service.run_directory),
        Place(f"/usr/local/bin/{name}-pm2"),
        Place(f"/opt/{name}", mark="versions"),
        Place(f"/opt/{name}-nodejs.tar"),
        *(Place(f"{directory}/{part}") for part in ("current", "previous", "active.sock", ".active.sock.back")),
        *(Place(f"{directory}/{part}") for part in ("releases", ".deploy.lease", ".deploy.lock")),
        # Of activations that are gone; the environment that they were made of is data, and stays.
        *(Place(f"{directory}/config/{part}") for part in ("environments", "ecosystem.config.cjs")),
    ]


def user_places(service: Service) -> list[Place]:
    """What is the service's only where its user is: the user of that name may be somebody else's."""
    if service.tools_only:
        return []
    return [
        Place(service.run_directory),
        Place(f"/var/spool/cron/crontabs/{service.user}"),
        Place(f"/var/mail/{service.user}", data=True),
    ]


def authorities(service: Service) -> list[Place]:
    """Extra certificate authorities, and the link to them that the making of the trust store does not remove itself."""
    return [
        Place(f"/usr/local/share/ca-certificates/{service.name}-extra.crt"),
        Place(f"/etc/ssl/certs/{service.name}-extra.pem"),
    ]


def record_places(service: Service) -> list[Place]:
    """nginx_site's own, which its transaction removes."""
    return [Place(f"/etc/nginx/{site_file(service)}"), Place(f"/var/lib/nginx_site/{service.name}.json")]


def database_places(service: Service) -> list[Place]:
    """The server's settings for this service."""
    return [Place(f"/etc/postgresql/*/main/conf.d/{service.name}.conf")]


# Files in which the service has a block.
ACCESS_FILES = ("/etc/postgresql/*/main/pg_hba.conf", "/etc/postgresql/*/main/pg_ident.conf")


def documented() -> list[str]:
    """All paths as docs/layout-on-the-host.md writes them, for the check that both have the same."""
    name = "<name>"
    service = Service(
        name=name,
        user="<user>",
        group="<user>",
        directory=f"/srv/{name}",
        log_directory=f"/var/log/{name}",
        run_directory=f"/run/{name}",
        alert_user=f"{name}-alert",
        acme_webroot=f"/var/www/{name}-acme",
        textfile_directory="/var/lib/prometheus/node-exporter",
    )
    places = [
        schedule(service),
        *record_places(service),
        *site_places(service),
        *database_places(service),
        *own_places(service),
        *user_places(service),
        *authorities(service),
    ]
    units = [f"{UNITS}/{unit}" for unit in (*watching_units(service), service.pm2_unit)]
    paths = [*units, *(place.path for place in places), *ACCESS_FILES, *SHARED]
    return [path.replace("/*/", "/<version>/").rstrip("*") for path in paths]
