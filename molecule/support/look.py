# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host as root, with the name of a service: prints as JSON what is there of it.

It asks the host's own programs and files, nothing of the collection that is tested.
"""

import fcntl
import json
import os
import pathlib
import pwd
import subprocess
import sys

NAME = sys.argv[1]
SERVICE = pathlib.Path("/srv", NAME)
DECLARED = f"JSON.stringify(require('{SERVICE}/active/ecosystem.config.cjs').apps.map((app) => app.name))"


def names(folder):
    """What is in a folder, without the file that locks it."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.is_dir() else []


def link(name):
    """Last part of what a link of the service points to; empty when there is no such link."""
    path = SERVICE / name
    return path.readlink().name if path.is_symlink() else ""


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pm2():
    """The processes that PM2 lists. Without a daemon the command fails; it starts none."""
    run = subprocess.run([f"/usr/local/bin/{NAME}-pm2", "jlist"], check=False, capture_output=True, text=True)
    if run.returncode:
        return []
    return [
        {
            "name": item["name"],
            "pid": item["pid"],
            "status": item["pm2_env"]["status"],
            "restarts": item["pm2_env"]["restart_time"],
        }
        for item in json.loads(run.stdout.splitlines()[-1])
    ]


def units():
    """The activations whose units are not stopped."""
    listed = output("systemctl", "list-units", "--plain", "--no-legend", f"{NAME}@*.service")
    return sorted(line.split()[0].partition("@")[2].removesuffix(".service") for line in listed.splitlines())


def processes():
    """Ids of the service's user's processes that are none of PM2's own commands, which come and go."""
    uid = pwd.getpwnam(NAME).pw_uid
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid and b"/pm2/bin/" not in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:  # it has just ended
            pass
    return found


def locked():
    """Whether a build or a deployment is at work, or processes are exchanged."""
    for path in SERVICE.glob(".*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


# one of PM2's commands is not yet known as such in its first moment
before = processes()
print(
    json.dumps(
        {
            "pm2": pm2(),
            "declared": sorted(json.loads(output(f"/opt/{NAME}/bin/node", "-p", DECLARED))),
            "units": units(),
            "sockets": names(pathlib.Path("/run", NAME)),
            "activations": names(SERVICE / "activations"),
            "config": names(SERVICE / "config"),
            "service": names(SERVICE),
            "releases": names(SERVICE / "releases"),
            "active": link("active"),
            "switched": os.lstat(SERVICE / "active").st_mtime,
            "current": link("current"),
            "previous": link("previous"),
            "processes": sorted({*before} & {*processes()}),
            "locked": locked(),
        }
    )
)
