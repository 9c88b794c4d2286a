# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as root: prints as JSON all that a run could change, as {what: how it is}.

It asks the host's own programs and files, nothing of the collection that is tested. A file's times tell every write and
every change of its rights, also one that was taken back.
"""

import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess

ROOTS = ("/etc", "/srv", "/usr/local", "/opt", "/var/lib", "/run/workbot")
# What the host itself writes at all times: the cluster's data (its catalogue is asked instead), systemd's timers and
# clock, what the watchdog, the metrics and the hourly diagnosis have seen, the logs, backups, and the pages that a
# Next.js site regenerates. Ansible has a directory for itself.
RESTLESS = re.compile(
    r"/var/lib/postgresql/\d+/main/|/var/lib/systemd/|/var/lib/[^/]*(watchdog|diagnose|alert|metrics|report|backup)[^/]*/"
    r"|/var/lib/prometheus/|/pgbackrest/(archive|backup)/|/backup/restic/|/var/lib/logrotate/|/\.ansible/tmp$"
    r"|/srv/[^/]+/logs/|/srv/[^/]+/home/|/\.next/|/etc/resolv\.conf$|/etc/hosts$"
)
# psql prints rows, pg_dumpall the rest; a random key is in each dump of newer versions.
CATALOGUE = (
    ("pg_dumpall", "--schema-only", "--no-role-passwords"),
    ("psql", "-XAtc", "SELECT rolname, md5(rolpassword) FROM pg_authid ORDER BY 1"),
    ("psql", "-XAtc", "SELECT name, setting, sourcefile, pending_restart FROM pg_settings ORDER BY 1"),
)
UNIT_KEYS = "Id,ActiveState,SubState,UnitFileState,MainPID,ExecMainStartTimestampMonotonic,NeedDaemonReload"
# Sessions, mounts, devices and what a timer or a socket starts for a moment come and go by themselves.
PASSING = re.compile(
    r"\.(device|mount|scope|slice|swap)$|^(session|user)|-act@|-backup[^.]*\.service|apt-|dpkg-|^logrotate[^.]*\.service|systemd-tmpfiles-clean"
)


def output(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def file_state(path: pathlib.Path) -> str:
    found = path.lstat()
    content = ""
    if stat.S_ISLNK(found.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(found.st_mode) and "node_modules" not in path.parts:  # ten thousands; their times will do
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    # a directory's times also tell of files that were there for a moment
    times = "" if RESTLESS.search(f"{path}/") else f"{found.st_mtime_ns} {found.st_ctime_ns}"
    return f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {times} {content}"


def files() -> dict[str, str]:
    found = {}
    for root in ROOTS:
        for folder, folders, names in os.walk(root):
            for path in (pathlib.Path(folder, name) for name in [*folders, *names]):
                if not RESTLESS.search(str(path)):
                    found[str(path)] = file_state(path)
    return found


def units() -> dict[str, str]:
    shown = output("systemctl", "show", "--all", f"--property={UNIT_KEYS}", "*")
    blocks = (dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n") if block)
    found = {block["Id"]: " ".join(block.values()) for block in blocks if not PASSING.search(block["Id"])}
    # a timer is running, not waiting, while the service is at work that it has started
    return {
        name: state.replace("active running", "active waiting") if name.endswith(".timer") else state
        for name, state in found.items()
    }


def processes() -> dict[str, str]:
    """The service's own and its proxy's: their start in clock ticks since boot."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            began = (path / "stat").read_text().rpartition(")")[2].split()[19]
        except OSError:  # it has just ended
            continue
        if re.match(r"PM2|node |nginx: ", command):
            found[f"process {path}"] = f"{began} {command.strip()}"
    return found


def catalogue() -> dict[str, str]:
    if not list(pathlib.Path("/run/postgresql").glob(".s.PGSQL.*")):
        return {}
    found = {}
    for command in CATALOGUE:
        lines = output("runuser", "-u", "postgres", "--", *command).splitlines()
        found[" ".join(command)] = "\n".join(line for line in lines if not re.match(r"\\(un)?restrict ", line))
    return found


print(json.dumps({**files(), **units(), **processes(), **catalogue()}))
