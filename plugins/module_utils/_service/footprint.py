# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a service on a host: the one list of it.

From it come what a removal takes away, what an installation must find free, and the table in docs/removing.md.
docs/layout-on-the-host.md says what each of these is for; `make test` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

UNITS = "/etc/systemd/system"
HBA = "/etc/postgresql/*/main/pg_hba.conf"
# What every program of this collection has in it: the names of its modules, see plugins/plugin_utils/_program.py.
_PROGRAM = "stability/_programs/"

_CONFIG_FILES = (
    *("environment", "diagnose.json", "diagnosis.pgpass", "database-ca.pem", "watchdog.json", "report.json"),
    *("alert.json", "alert-secrets.json", "file-backup.json", "file-backup-secrets.json", "file-backup-authority.pem"),
    *("reopen-logs.cjs", "own-socket.cjs"),
)

OPTIONS = {
    option: {"type": "str", "required": True}
    for option in ("name", "user", "group", "directory", "log_directory", "run_directory")
}
"""A module's options that say whose things these are; documented in the doc fragment `service`."""


def mark_of(name: str) -> str:
    """What stands in the files of these roles that anybody could have by that name: `service_mark` of the roles."""
    return f"Part of service {name} (workbot.stability)."


def marker_of(name: str) -> str:
    """What stands at both ends of a service's lines in PostgreSQL's files."""
    return f"# {{mark}} {name}, managed by Ansible"


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
    def mark(self) -> str:
        return mark_of(self.name)

    @property
    def marker(self) -> str:
        return marker_of(self.name)


class Step(Enum):
    """When a removal takes something away, in this order."""

    WATCHING = "first: it would bring the service back, look at it or report it"
    SITE = "with the site, by the transaction of `nginx_site`"
    CERTIFICATE = "after the site, by certbot, if the hook is there: it says whose the certificate is"
    SHARED = "with the last site that shares it, by `nginx_site`"
    PM2 = "when its connections have ended"
    ACCESS = "its block alone goes; the server reads its files again"
    SETTINGS = "the server reads its files again"
    FILES = "when nothing of it runs any more"
    USER = "likewise, if the user of that name is its own"
    LAST_SITE = "with the last site on the host"
    DATABASE = "with its roles, if nobody else is let in"
    EMPTIED = "if nothing else is in it"
    ACCOUNT = "with its group, if no file that may be its own stays"
    TRUST = "at the end; the trust store is made again"
    STAYS = "never: it is the servers'"


@dataclass(frozen=True)
class Thing:
    """A path, whose last part may have a * in it; a unit by that of its file, a user or a database by its name."""

    path: str
    step: Step
    marks: tuple[str, ...] = ()
    """By what it is known, as the name may be anybody's: a text in the file, a path in the directory; one is enough.
    Of a user the home, of a database the roles of which one owns it."""
    data: bool = False
    """It goes only if its owner has confirmed that by the service's name, and then without a question for the mark."""
    directory: bool = False
    """Else a file, a link or a socket."""
    unless: str = ""
    """A file that is there if the path is another service's: "shop-alert" may be one, and the alerts of "shop"."""
    variable: str = "service_name"
    """What to change where somebody else has it."""

    @property
    def unit(self) -> str:
        """The unit's name; empty for what is none."""
        directory, _slash, name = self.path.rpartition("/")
        return name if directory == UNITS else ""

    def is_marked(self, path: Path) -> bool:
        """Whether what is there has one of the marks; an empty file, or none at all, is as good."""
        if path.is_dir():
            return any((path / mark).exists() for mark in self.marks)
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return not text or any(mark in text for mark in self.marks)


def belongings(service: Service, *steps: Step) -> list[Thing]:
    """What the service may have on a host, of these steps or of all."""
    things = [*([] if service.tools_only else _own(service)), *_tools(service)]
    return [thing for thing in things if thing.path and (not steps or thing.step in steps)]


def config_files(service: Service) -> list[Thing]:
    """What the roles write into config/."""
    return [Thing(f"{service.directory}/config/{file}", Step.FILES, data=True) for file in _CONFIG_FILES]


def _own(service: Service) -> list[Thing]:
    """Of a service that these roles run."""
    name, directory, user, ours = service.name, service.directory, service.user, (service.mark,)
    # any other webroot may be for several services, or be more than challenges
    webroot = service.acme_webroot if service.acme_webroot.endswith(f"/{name}-acme") else ""
    return [
        Thing(f"/etc/nginx/conf.d/{name}.conf", Step.SITE),
        Thing(f"/var/lib/nginx_site/{name}.json", Step.SITE),
        Thing(f"/etc/letsencrypt/renewal-hooks/deploy/{name}", Step.CERTIFICATE, (_PROGRAM,)),
        Thing(f"/etc/letsencrypt/live/{name}", Step.CERTIFICATE, directory=True),
        Thing(f"/etc/letsencrypt/archive/{name}", Step.CERTIFICATE, directory=True),
        Thing(f"/etc/letsencrypt/renewal/{name}.conf", Step.CERTIFICATE),
        Thing(f"/var/lib/certbot_certificate/{name}.json", Step.CERTIFICATE),
        Thing(f"/var/lib/certbot_certificate/{name}.refused.json", Step.CERTIFICATE),
        Thing(f"/var/lib/certbot_certificate/{name}.renewed", Step.CERTIFICATE),
        Thing(f"{UNITS}/certbot.service.d/{name}.conf", Step.CERTIFICATE, ours),
        Thing(f"{UNITS}/{name}-renewal.service", Step.WATCHING, ours),
        # a timer before its service
        Thing(f"{UNITS}/{name}-file-backup.timer", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-file-backup@.service", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}.service", Step.PM2, ours),
        Thing(f"{UNITS}/{name}@.service", Step.PM2, ours),
        Thing(f"/etc/postgresql/*/main/conf.d/{name}.conf", Step.SETTINGS),
        # what of the site is in no record of nginx_site: self-signed certificates, and the logs
        Thing(f"/etc/nginx/services/{name}", Step.FILES, directory=True),
        Thing(webroot, Step.FILES, directory=True),
        Thing(f"/var/log/nginx/{name}.access.log*", Step.FILES, data=True),
        Thing(f"/var/log/nginx/{name}.error.log*", Step.FILES, data=True),
        Thing(f"/etc/tmpfiles.d/{name}.conf", Step.FILES, ours),
        Thing(f"/usr/local/bin/{name}-pm2", Step.FILES, ours),
        Thing(f"/usr/local/lib/{name}-renewal", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/bin/{name}-file-backup", Step.FILES, (_PROGRAM,)),
        Thing(f"/var/lib/{name}-file-backup", Step.FILES, directory=True),
        # what it has planned of the host, for the plans of others
        Thing(f"/etc/ansible/facts.d/{name}-plan.fact", Step.FILES, ours),
        Thing(f"/opt/{name}", Step.FILES, ("versions",), directory=True),
        Thing(f"/opt/{name}-nodejs.tar", Step.FILES),
        Thing(f"{directory}/current", Step.FILES),
        Thing(f"{directory}/previous", Step.FILES),
        Thing(f"{directory}/active", Step.FILES),
        Thing(f"{directory}/.active.back", Step.FILES),
        Thing(f"{directory}/hold.sock", Step.FILES),
        Thing(f"{directory}/activations", Step.FILES, directory=True),
        Thing(f"{directory}/releases", Step.FILES, directory=True),
        Thing(f"{directory}/.build.lock", Step.FILES),
        Thing(f"{directory}/.processes.lock", Step.FILES),
        Thing(f"{directory}/.deploy.history", Step.FILES),
        Thing(f"{directory}/.deploy.lease", Step.FILES),
        Thing(f"{directory}/.deploy.lock", Step.FILES),
        # the caches of builds; what has another name there the service itself has written
        Thing(f"{service.home}/.*", Step.FILES),
        Thing(f"{service.home}/pm2.log*", Step.FILES),
        Thing(f"{directory}/config", Step.FILES, data=True, directory=True),
        Thing(f"{directory}/shared", Step.FILES, data=True, directory=True),
        Thing(f"{directory}/restored", Step.FILES, data=True, directory=True),
        Thing(service.home, Step.FILES, data=True, directory=True),
        Thing(directory, Step.FILES, data=True, directory=True),
        Thing(service.run_directory, Step.USER, directory=True),
        Thing(f"/var/spool/cron/crontabs/{user}", Step.USER),
        Thing(f"/var/mail/{user}", Step.USER, data=True),
        Thing(f"{UNITS}/nginx.service.d/hardening.conf", Step.LAST_SITE),
        Thing(service.database, Step.DATABASE, service.database_roles, data=True),
        Thing(f"{directory}/shared", Step.EMPTIED, directory=True),
        Thing(service.home, Step.EMPTIED, directory=True),
        Thing("/etc/nginx/services", Step.EMPTIED, directory=True),
        Thing("/etc/ansible/facts.d", Step.EMPTIED, directory=True),
        Thing("/etc/ansible", Step.EMPTIED, directory=True),
        Thing(f"{UNITS}/nginx.service.d", Step.EMPTIED, directory=True),
        Thing(f"{UNITS}/certbot.service.d", Step.EMPTIED, directory=True),
        Thing("/var/lib/certbot_certificate", Step.EMPTIED, directory=True),
        Thing(user, Step.ACCOUNT, (service.home,)),
        Thing("/etc/nginx/conf.d/00-unknown-hosts-<port>.conf", Step.SHARED),
        Thing("/etc/nginx/conf.d/00-variables.conf", Step.SHARED),
        Thing("/etc/nginx/conf.d/00-server-names.conf", Step.SHARED),
        Thing("/etc/nginx/modules-enabled/90-worker-limits.conf", Step.SHARED),
        Thing("/run/nginx_closing", Step.STAYS),
        Thing("/run/nginx-restarts", Step.STAYS, directory=True),
        Thing("/run/workbot.stability", Step.STAYS, directory=True),
        Thing("/etc/postgresql-common/tls", Step.STAYS, directory=True),
        Thing(f"{UNITS}/postgresql@<version>-main.service.d/network.conf", Step.STAYS),
        Thing("/etc/postgresql/*/main/conf.d/postgresql-backup.conf", Step.STAYS),
        Thing("/etc/pgbackrest", Step.STAYS, directory=True),
        Thing("/usr/local/bin/postgresql-backup", Step.STAYS),
        Thing("/var/lib/postgresql-backup", Step.STAYS, directory=True),
        Thing("/var/lib/postgresql/*/restored", Step.STAYS, directory=True),
        Thing("/var/lib/postgresql/*/replaced", Step.STAYS, directory=True),
        Thing("/var/lib/postgresql/*/past.json", Step.STAYS),
        Thing(f"{UNITS}/postgresql-backup.service", Step.STAYS),
        Thing(f"{UNITS}/postgresql-backup.timer", Step.STAYS),
        Thing(f"{UNITS}/postgresql-backup-drill.service", Step.STAYS),
        Thing(f"{UNITS}/postgresql-backup-drill.timer", Step.STAYS),
        Thing("/usr/local/bin/backup-repository", Step.STAYS),
        Thing("/var/lib/backup-repository", Step.STAYS, directory=True),
        Thing(f"{UNITS}/backup-repository.service", Step.STAYS),
        Thing(f"{UNITS}/backup-repository.path", Step.STAYS),
        Thing(f"{UNITS}/pgbackrest.service.d/repository.conf", Step.STAYS),
        Thing("/etc/file-backup-repository", Step.STAYS, directory=True),
        Thing("/usr/local/bin/file-backup-repository", Step.STAYS),
        Thing(f"{UNITS}/file-backup-repository.service", Step.STAYS),
        Thing(f"{UNITS}/file-backup-repository-discard.service", Step.STAYS),
        Thing(f"{UNITS}/file-backup-repository-discard.timer", Step.STAYS),
        Thing("/etc/prometheus/exporter-tls", Step.STAYS, directory=True),
        Thing(f"{UNITS}/prometheus-node-exporter.service.d/monitor.conf", Step.STAYS),
        Thing(f"{UNITS}/prometheus-postgres-exporter.service.d/monitor.conf", Step.STAYS),
        Thing("/etc/prometheus/nodejs-services", Step.STAYS, directory=True),
        Thing("/etc/prometheus/monitor-tls", Step.STAYS, directory=True),
        Thing(f"{UNITS}/prometheus.service.d/nodejs-services.conf", Step.STAYS),
        Thing(f"{UNITS}/prometheus-alertmanager.service.d/nodejs-services.conf", Step.STAYS),
    ]


def _tools(service: Service) -> list[Thing]:
    """Around every service, also one that runs under something else."""
    name, directory, logs, ours = service.name, service.directory, service.log_directory, (service.mark,)
    config, block = f"{directory}/config", (service.marker.format(mark="BEGIN"),)
    textfile = f"{service.textfile_directory}/{name}.prom" if service.textfile_directory else ""
    return [
        Thing(f"/etc/cron.d/{name}-diagnose", Step.WATCHING, ours),
        Thing(f"/etc/cron.d/{name}-report", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-watchdog.service", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-watchdog-act.socket", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-watchdog-act@.service", Step.WATCHING, ours),
        # a timer before its service
        Thing(f"{UNITS}/{name}-alert.timer", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-alert.path", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-alert.service", Step.WATCHING, ours),
        Thing(f"{UNITS}/{name}-metrics.service", Step.WATCHING, ours),
        Thing(f"{UNITS}/logrotate-{name}.timer", Step.WATCHING, ours),
        Thing(f"{UNITS}/logrotate-{name}.service", Step.WATCHING, ours),
        # what the monitor asks of its hosts
        Thing(f"/etc/prometheus/nodejs-services/{name}.json", Step.WATCHING),
        # also those of a service that was given back to what it ran under before
        Thing(HBA, Step.ACCESS, block),
        Thing("/etc/postgresql/*/main/pg_ident.conf", Step.ACCESS, block),
        Thing(f"/etc/logrotate-{name}.conf", Step.FILES, ours),
        Thing(f"/var/lib/logrotate/{name}.status", Step.FILES),
        Thing(f"/usr/local/bin/{name}-diagnose", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/bin/{name}-watchdog", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/bin/{name}-alert", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/bin/{name}-report", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/lib/{name}-watchdog-act", Step.FILES, (_PROGRAM,)),
        Thing(f"/usr/local/lib/{name}-metrics", Step.FILES, (_PROGRAM,)),
        Thing(textfile, Step.FILES),
        Thing(f"/var/lib/{name}-diagnose", Step.FILES, directory=True),
        Thing(f"/var/lib/{name}-metrics", Step.FILES, directory=True),
        Thing(f"/var/lib/{name}-report", Step.FILES, directory=True),
        Thing(f"/var/lib/{name}-watchdog", Step.FILES, directory=True),
        Thing(f"/var/lib/{name}-alert", Step.FILES, directory=True),
        # of a host that is only the monitor
        Thing(f"/etc/{name}-alert", Step.FILES, ("alert.json",), directory=True),
        *(
            Thing(
                f"/run/{name}-{part}",
                Step.FILES,
                directory=not part.endswith(".sock"),
                unless=f"/etc/tmpfiles.d/{name}-{part}.conf",
            )
            for part in ("watchdog", "watchdog-act", "watchdog-act.sock", "alert")
        ),
        # otherwise config/ is the service's as a whole
        *(config_files(service) if service.tools_only else []),
        Thing(
            logs,
            Step.FILES,
            ("monitor.log", "recovery.log", "diagnose_hourly.log"),
            data=True,
            directory=True,
            variable="service_log_directory",
        ),
        Thing(config, Step.EMPTIED, directory=True),
        # releases, config or bin are in anybody's directory
        Thing(directory, Step.EMPTIED, ("config/environment",), variable="service_directory", directory=True),
        Thing(service.alert_user, Step.ACCOUNT, ("/nonexistent",)),
        # extra authorities, and the link to them, which the making of the trust store does not remove itself
        Thing(f"/usr/local/share/ca-certificates/{name}-extra.crt", Step.TRUST),
        Thing(f"/etc/ssl/certs/{name}-extra.pem", Step.TRUST),
    ]
