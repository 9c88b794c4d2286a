# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as root, with the name of a service: prints as JSON every trace of it, and how the rest is.

It asks the host's own programs and files, nothing of the collection that is tested.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

NAME = sys.argv[1]
# Other file systems (a container's /run is one) are looked through as well; what the kernel makes up is not.
MADE_UP = ("/proc", "/sys", "/dev", "/tmp")
# What systemd keeps of a unit only while it runs: a timer may start one at any moment.
OF_RUNNING = (
    *("/run/systemd/units/", "/run/systemd/propagate/", "/run/credentials/"),
    *("/tmp/systemd-private-", "/var/tmp/systemd-private-"),
)
MOUNT_OF_RUNNING = "run-credentials-"
# Whole trees in which a service that is gone must have left nothing as it was not before.
KEPT = ("/etc", "/usr/local", "/var/www", "/var/lib/nginx_site", "/var/spool/cron")
# Backups that the tools of accounts keep of the file before their last change, and what the dynamic linker remembers.
OWN_MEMORY = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", "ld.so.cache")
SETTINGS = "SELECT name || ' ' || setting FROM pg_file_settings ORDER BY 1"


def output(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def sql(statement):
    return output("runuser", "-u", "postgres", "--", "psql", "-XAtq", "--dbname=postgres", "-c", statement).splitlines()


def paths():
    """Every path whose last part has the name."""
    hits = []
    for folder, folders, files in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if f"/{name}" not in MADE_UP]
        hits += [str(pathlib.Path(folder, name)) for name in [*folders, *files] if NAME in name]
        folders[:] = [name for name in folders if NAME not in name]
    return sorted(path for path in hits if not path.startswith(OF_RUNNING))


def mentions():
    """Files of the system's configuration that speak of it."""
    found = output("grep", "-rlI", NAME, "/etc").splitlines()
    return sorted(path for path in found if pathlib.Path(path).name not in OWN_MEMORY)


def systemd():
    listed = output("systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"*{NAME}*")
    return sorted(unit for line in listed.splitlines() if not (unit := line.split()[0]).startswith(MOUNT_OF_RUNNING))


def accounts():
    lines = pathlib.Path("/etc/passwd").read_text().splitlines() + pathlib.Path("/etc/group").read_text().splitlines()
    return sorted(line for line in lines if NAME in line)


def rest():
    """A digest of each file of the trees, with its mode and owner; and PostgreSQL's databases, roles and settings."""
    found = {}
    for tree in KEPT:
        for folder, folders, files in os.walk(tree):
            for name in [*folders, *files]:
                path = pathlib.Path(folder, name)
                if name in OWN_MEMORY:
                    continue
                status = path.lstat()
                content = str(path.readlink()) if path.is_symlink() else ""
                if path.is_file() and not path.is_symlink():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = [oct(status.st_mode), status.st_uid, status.st_gid, content]
    found["databases"] = sql("SELECT datname FROM pg_database ORDER BY 1")
    found["roles"] = sql("SELECT rolname FROM pg_roles ORDER BY 1")
    found["settings"] = sql(SETTINGS)
    return found


print(
    json.dumps(
        {
            "paths": paths(),
            "mentions": mentions(),
            "units": systemd(),
            "accounts": accounts(),
            "databases": [name for name in sql("SELECT datname FROM pg_database") if NAME in name],
            "roles": [name for name in sql("SELECT rolname FROM pg_roles") if NAME in name],
            "rest": rest(),
        }
    )
)
