# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who the service is on the host, and that its secrets are in one file only."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

ENVIRONMENT = "/srv/workbot/config/environment"

# Runs on the host as root: learns the secrets from the environment file and prints each place that has one, never a
# secret itself. Both forms of the password count, as it is and percent-encoded in the URL.
SEARCH = textwrap.dedent(
    """
    import json, os, pathlib, pwd, re, stat, subprocess, sys, urllib.parse
    text = pathlib.Path("/srv/workbot/config/environment").read_text()
    url = re.search("^DATABASE_URL=.*?://[^:]+:([^@]+)@", text, re.M)[1]
    token = re.search("^JWT_SECRET=(.*)$", text, re.M)[1].strip("'`\\"")
    secrets = [value.encode() for value in {token, url, urllib.parse.unquote(url)}]
    assert all(len(value) >= 12 for value in secrets)

    def has(data):
        return any(value in data for value in secrets)

    def read(path):
        try:
            return path.read_bytes()
        except OSError:
            return b""

    def files(top):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
            for name in names:
                path = pathlib.Path(folder, name)
                try:
                    found = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_size < 32 << 20:
                    yield path, found

    def command_lines():
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            if path.parent.name != str(os.getpid()) and has(read(path)):
                yield str(path)

    def environments():
        # root in a container may not look into another user's process; the user itself may
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                user = pwd.getpwuid(path.stat().st_uid)
                done = subprocess.run(
                    ["cat", str(path)], user=user.pw_uid, group=user.pw_gid, extra_groups=[], capture_output=True
                )
                # Exists as long as the process does. Sessions of SSH show theirs to nobody.
                unread = done.returncode and path.exists() and user.pw_name in ("workbot", "postgres", "www-data")
            except OSError:  # it has just ended
                continue
            if unread:
                yield "not readable: " + str(path)
            elif has(done.stdout) and path.parent.name != str(os.getpid()):
                yield str(path)

    def world_readable():
        return [str(path) for path, found in files("/") if found.st_mode & stat.S_IROTH and has(read(path))]

    def below(*tops):
        return [str(path) for top in tops for path, _ in files(top) if has(read(path))]

    def journal():
        output = subprocess.run(["journalctl", "--no-pager", "--output=cat"], capture_output=True).stdout
        return ["journal"] if has(output) else []

    places = {
        "control": lambda: below("/srv/workbot/config", "/srv/workbot/activations"),
        "world_readable": world_readable,
        "command_lines": lambda: list(command_lines()),
        "environments": lambda: list(environments()),
        "pm2": lambda: below("/srv/workbot/home", "/srv/workbot/active/pm2/"),
        "logs": lambda: below("/var/log"),
        "units": lambda: below("/etc/systemd", "/run/systemd"),
        "journal": journal,
    }
    print(json.dumps(places[sys.argv[1]]()))
    """
)


def test_the_user_has_no_way_to_log_in(host: Any) -> None:
    user = host.user("workbot")
    assert user.shell == "/usr/sbin/nologin"
    assert user.home == "/srv/workbot/home"
    assert user.groups == ["workbot"]
    assert 0 < user.uid < 1000
    assert user.password in ("!", "*", "!*")
    assert host.run("runuser -u workbot -- sudo -n true").rc != 0


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/srv/workbot", "root", "root", 0o755),
        ("/srv/workbot/releases", "root", "workbot", 0o750),
        ("/srv/workbot/shared", "workbot", "workbot", 0o750),
        ("/srv/workbot/config", "root", "workbot", 0o750),
        (ENVIRONMENT, "workbot", "workbot", 0o600),
        ("/srv/workbot/home", "workbot", "workbot", 0o700),
        ("/srv/workbot/activations", "root", "root", 0o755),
        ("/opt/workbot", "root", "root", 0o755),
        ("/var/log/workbot", "workbot", "adm", 0o750),
        # with an access list, whose mask stands where the group's bits are
        ("/run/workbot", "root", "www-data", 0o3772),
    ],
)
def test_owners_and_modes(host: Any, path: str, owner: str, group: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, oct(file.mode)) == (owner, group, oct(mode))


def test_the_service_can_not_change_what_root_gives_it(host: Any) -> None:
    service = "/srv/workbot"
    for path in (service, f"{service}/activations", f"{service}/active/", f"{service}/config", "/opt/workbot"):
        assert host.run("runuser -u workbot -- test -w %s", path).rc == 1


def environments(host: Any) -> list[str]:
    """The environment file, and the copy of it that each activation was started with."""
    copies = host.check_output("ls /srv/workbot/activations/*/environment").split()
    return [ENVIRONMENT, *copies]


def test_nobody_else_reads_the_environment(host: Any) -> None:
    for path in environments(host):
        assert oct(host.file(path).mode) == oct(0o600)
        assert host.run("runuser -u workbot -- test -r %s", path).rc == 0
        for user in ("nobody", "www-data"):
            assert host.run("runuser -u %s -- test -r %s", user, path).rc == 1


def test_the_search_finds_the_secrets_where_they_belong(host: Any) -> None:
    found = json.loads(host.check_output("python3 -c %s control", SEARCH))
    assert sorted(found) == sorted(environments(host))


@pytest.mark.parametrize("user", ["workbot", "postgres", "www-data"])
def test_the_search_finds_a_secret_in_the_environment_of_a_process(host: Any, user: str) -> None:
    properties = f"--property=User={user} --property=EnvironmentFile={ENVIRONMENT}"
    host.check_output(f"systemd-run --quiet --unit=molecule-leak {properties} sleep 60")
    try:
        pid = host.check_output("systemctl show --property=MainPID --value molecule-leak")
        assert json.loads(host.check_output("python3 -c %s environments", SEARCH)) == [f"/proc/{pid}/environ"]
    finally:
        host.check_output("systemctl stop molecule-leak")


@pytest.mark.parametrize(
    "place", ["world_readable", "command_lines", "environments", "pm2", "logs", "units", "journal"]
)
def test_no_secret_anywhere_else(host: Any, place: str) -> None:
    assert json.loads(host.check_output("python3 -c %s %s", SEARCH, place)) == []


def test_the_sockets_directory_is_made_again_as_at_boot(host: Any) -> None:
    """Another root for the rule: the directory of the running service is left alone."""
    script = textwrap.dedent(
        """
        set -e
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        mkdir -p "$root/etc" "$root/run/workbot"
        cp /etc/passwd /etc/group "$root/etc/"
        touch "$root/run/workbot/stale.sock"
        systemd-tmpfiles --root="$root" --remove --create /etc/tmpfiles.d/workbot.conf
        stat --format='%U %G %a' "$root/run/workbot" /run/workbot
        ls "$root/run/workbot"
        list='import os, sys; print(*(os.getxattr(path, "system.posix_acl_access").hex() for path in sys.argv[1:]))'
        python3 -c "$list" "$root/run/workbot" /run/workbot
        """
    )
    *modes, lists = host.check_output("sh -c %s", script).splitlines()
    assert modes == ["root www-data 3772"] * 2
    # What root makes at boot is what the playbook has made.
    assert len(set(lists.split())) == 1


def test_sockets_belong_to_the_proxys_group(host: Any) -> None:
    path = "/run/workbot/trial.sock"
    bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    try:
        host.check_output("runuser -u workbot -- python3 -c %s %s", bind, path)
        assert host.file(path).group == "www-data"
    finally:
        host.run("rm -f %s", path)


def test_the_host_trusts_the_extra_authorities(host: Any) -> None:
    extra = host.file("/usr/local/share/ca-certificates/workbot-extra.crt")
    if not extra.exists:
        pytest.skip("this machine's network needs no extra certificate authority")
    assert (extra.user, oct(extra.mode)) == ("root", oct(0o644))
    for certificate in extra.content_string.split("-----BEGIN CERTIFICATE-----")[1:]:
        body = certificate.split("-----END")[0].strip()
        assert body in host.file("/etc/ssl/certs/ca-certificates.crt").content_string
