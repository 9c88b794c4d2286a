# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a host over the months: one command of root's for each thing that is not as declared any more."""

from __future__ import annotations

from database_drifts import DATABASE_DRIFTS
from drift_kinds import (
    ACCESS_LIST,
    ACTIVATION,
    ACTIVE,
    DECLARED,
    DIAGNOSIS,
    POLICY,
    SITE,
    TOOLCHAIN,
    UNITS,
    UNITS_OF_PM2,
    USER,
    WATCHDOG,
    WORKERS,
    Drift,
    Refused,
    disabled,
    is_mode,
)

# In this order: what would repair the rest goes first, what others need last.
DRIFTS = {
    "the watchdog stopped": Drift(
        "systemctl disable --now workbot-watchdog.service",
        WATCHDOG,
        "workbot-watchdog.service stopped, disabled",
        "systemctl is-active workbot-watchdog.service && systemctl is-enabled workbot-watchdog.service",
    ),
    "a unit edited": Drift(
        f"sed -i s/^RestartSec=.*/RestartSec=50/ {UNITS}/workbot-watchdog.service",
        WATCHDOG,
        "RestartSec=50",
        f"! grep RestartSec=50 {UNITS}/workbot-watchdog.service",
    ),
    "a unit written and not restarted": Drift(
        f"touch {UNITS}/workbot-watchdog-act.socket",
        WATCHDOG,
        "workbot-watchdog-act.socket restarted",
        '[ "$(date +%s -d "$(systemctl show --property=ActiveEnterTimestamp --value workbot-watchdog-act.socket)")"'
        f' -ge "$(stat --format=%Y {UNITS}/workbot-watchdog-act.socket)" ]',
    ),
    "the watchdog's helper replaced": Drift(
        "printf '#!/bin/sh\\n' >/usr/local/lib/workbot-watchdog-act",
        WATCHDOG,
        '"/usr/local/lib/workbot-watchdog-act"',
        "grep --text stability/_programs/ /usr/local/lib/workbot-watchdog-act",
    ),
    "a program handed to the service": Drift(
        "chown workbot /usr/local/bin/workbot-watchdog",
        WATCHDOG,
        '"/usr/local/bin/workbot-watchdog"',
        is_mode("/usr/local/bin/workbot-watchdog", "root:755"),
    ),
    "a configuration removed": Drift(
        "rm /srv/workbot/config/watchdog.json",
        WATCHDOG,
        "/srv/workbot/config/watchdog.json (absent)",
        is_mode("/srv/workbot/config/watchdog.json", "root:640"),
    ),
    "a directory's owner": Drift(
        "chown root /var/lib/workbot-watchdog",
        WATCHDOG,
        '"/var/lib/workbot-watchdog"',
        is_mode("/var/lib/workbot-watchdog", "workbot:750"),
    ),
    "a timer masked": Drift(
        f"systemctl stop logrotate-workbot.timer && ln -sf /dev/null {UNITS}/logrotate-workbot.timer"
        " && systemctl daemon-reload",
        POLICY,
        "logrotate-workbot.timer stopped",
        "systemctl is-active logrotate-workbot.timer && systemctl is-enabled logrotate-workbot.timer",
    ),
    "a boot unit disabled": disabled("workbot.service", UNITS_OF_PM2),
    "Nginx not started at boot": disabled("nginx.service", "Start Nginx at boot"),
    "the hardening of Nginx removed": Drift(
        f"rm {UNITS}/nginx.service.d/hardening.conf",
        "Start Nginx at boot",
        "hardening.conf (absent)",
        f"grep NoNewPrivileges {UNITS}/nginx.service.d/hardening.conf",
    ),
    "cron stopped": Drift(
        "systemctl disable --now cron.service",
        DIAGNOSIS,
        "cron.service stopped, disabled",
        "systemctl is-active cron.service && systemctl is-enabled cron.service",
    ),
    "node_exporter not started at boot": disabled("prometheus-node-exporter.service", "Measure the service"),
    "an access list added": Drift(
        "setfacl --modify=user:nobody:rwx /srv/workbot/shared",
        USER,
        "u:nobody:rwx",
        f"! {ACCESS_LIST} /srv/workbot/shared",
    ),
    "an access list removed": Drift(
        "setfacl --remove-all /run/workbot",
        USER,
        '"/run/workbot"',
        "getfacl --absolute-names /run/workbot | grep ^user:workbot:rwx",
    ),
    "packages removed": Drift(
        "dpkg --remove --force-depends acl logrotate",
        "Install the packages of the play's roles at once",
        "logrotate",
        "command -v getfacl && test -x /usr/sbin/logrotate",
    ),
    "the directory of the sockets opened to everybody": Drift(
        "chmod 0777 /run/workbot", USER, '"/run/workbot"', is_mode("/run/workbot", "root:3772")
    ),
    "the user in a group of root's": Drift(
        "usermod --append --groups=sudo workbot",
        USER,
        "in the groups sudo",
        "! id --groups --name workbot | grep --word-regexp sudo",
    ),
    "the user without a password": Drift(
        "passwd --delete workbot",
        USER,
        "with a password or none at all",
        "getent shadow workbot | grep '^workbot:!'",
    ),
    "the user's shell changed": Drift(
        "usermod --shell /bin/bash workbot",
        USER,
        "/bin/bash",
        "getent passwd workbot | grep :/usr/sbin/nologin$",
    ),
    "a directory opened to everybody": Drift(
        "chmod 0777 /srv/workbot/shared",
        USER,
        '"/srv/workbot/shared"',
        is_mode("/srv/workbot/shared", "workbot:750"),
    ),
    "a file for the next boot opened to everybody": Drift(
        "chmod 0666 /etc/tmpfiles.d/workbot.conf",
        USER,
        '"/etc/tmpfiles.d/workbot.conf"',
        is_mode("/etc/tmpfiles.d/workbot.conf", "root:644"),
    ),
    "a directory removed": Drift(
        "rm -r /var/lib/workbot-diagnose",
        DIAGNOSIS,
        "/var/lib/workbot-diagnose (absent)",
        is_mode("/var/lib/workbot-diagnose", "workbot:750"),
    ),
    "another log level and another secret": Drift(
        "sed -i -e s/^LOG_LEVEL=.*/LOG_LEVEL=debug/ -e s/^JWT_SECRET=.*/JWT_SECRET=another-secret-of-32-characters-x/"
        " /srv/workbot/config/environment /srv/workbot/activations/*/environment",
        USER,
        '"/srv/workbot/config/environment"',
        "! grep -r -e LOG_LEVEL=debug -e another-secret /srv/workbot/config/environment /srv/workbot/activations/",
    ),
    "a heap limit edited": Drift(
        "sed -i s/space-size=[0-9]*/space-size=300/ /srv/workbot/active/ecosystem.config.cjs",
        ACTIVATION,
        "space-size=300",
        "! grep space-size=300 /srv/workbot/active/ecosystem.config.cjs",
    ),
    "a process deleted": Drift(
        "workbot-pm2 delete $(workbot-pm2 jlist | tail -n 1 | grep -o '\"pm_id\":[0-9]*' | tail -n 1 | cut -d : -f 2)",
        ACTIVATION,
        "instances: ",
        f'[ "$({WORKERS})" = "$({DECLARED})" ]',
    ),
    "a process that nobody has declared": Drift(
        "workbot-pm2 start /usr/bin/sleep --name molecule-stranger --interpreter none -- 100000",
        ACTIVATION,
        "molecule-stranger",
        "! pgrep --uid workbot --full 'sleep 100000'",
    ),
    "an activation that is none": Drift(
        "mkdir /srv/workbot/activations/left",
        ACTIVATION,
        "remove left: ",
        "! test -e /srv/workbot/activations/left",
    ),
    "the unit of an activation edited": Drift(
        f"sed -i s/^RestartSec=.*/RestartSec=50/ {UNITS}/workbot@.service",
        UNITS_OF_PM2,
        "RestartSec=50",
        f"! grep RestartSec=50 {UNITS}/workbot@.service && ! systemctl cat 'workbot@*.service' | grep RestartSec=50",
    ),
    "the release's directory removed": Drift(
        "rm -r $(readlink -f /srv/workbot/current)",
        "Put the release on the host",
        "release ",
        f'test -f "/srv/workbot/releases/$({ACTIVE})/package.json"',
    ),
    "a link to a worker's socket removed": Drift(
        "rm /srv/workbot/active/1.sock", ACTIVATION, "active/1.sock -> ", "test -S /srv/workbot/active/1.sock"
    ),
    "a link to another release": Drift(
        "ln -sfn /srv/workbot/releases/elsewhere /srv/workbot/current",
        ACTIVATION,
        "current -> elsewhere",
        f'[ "$(basename "$(readlink /srv/workbot/current)")" = "$({ACTIVE})" ]',
    ),
    "a way back to a release that is gone": Drift(
        "ln -sfn /srv/workbot/releases/gone /srv/workbot/previous",
        ACTIVATION,
        "previous -> gone",
        "test -e /srv/workbot/previous || ! test -L /srv/workbot/previous",
    ),
    "another version of pnpm": Drift(
        'sed -i \'s/"version": .*/"version": "9.0.0",/\' /opt/workbot/versions/*/node_modules/pnpm/package.json',
        TOOLCHAIN,
        "pnpm is 9.0.0",
        '! grep \'"version": "9.0.0"\' /opt/workbot/bin/../node_modules/pnpm/package.json',
    ),
    "a command edited": Drift(
        "echo '# tried something' >>/usr/local/bin/workbot-pm2",
        "Install the command that runs PM2",
        '"/usr/local/bin/workbot-pm2"',
        "! grep '# tried something' /usr/local/bin/workbot-pm2",
    ),
    "the site edited": Drift(
        "sed -i 's/keepalive 64;/keepalive 8;/' /etc/nginx/services/workbot/upstream.conf",
        SITE,
        "keepalive 8;",
        "! grep 'keepalive 8;' /etc/nginx/services/workbot/upstream.conf",
    ),
    "the site removed": Drift(
        "rm /etc/nginx/conf.d/workbot.conf",
        SITE,
        "/etc/nginx/conf.d/workbot.conf (absent)",
        is_mode("/etc/nginx/conf.d/workbot.conf", "root:644"),
    ),
    "the policy of the logs edited": Drift(
        "sed -i 's/rotate .*/rotate 99/' /etc/logrotate-workbot.conf",
        POLICY,
        "rotate 99",
        "! grep 'rotate 99' /etc/logrotate-workbot.conf",
    ),
    "a line of cron deleted": Drift(
        "sed -i '$d' /etc/cron.d/workbot-diagnose",
        DIAGNOSIS,
        '"/etc/cron.d/workbot-diagnose"',
        "grep -e --daily /etc/cron.d/workbot-diagnose",
    ),
    "a configuration's mode": Drift(
        "chmod 0644 /srv/workbot/config/diagnose.json",
        DIAGNOSIS,
        '"/srv/workbot/config/diagnose.json"',
        is_mode("/srv/workbot/config/diagnose.json", "root:640"),
    ),
    "a link in the place of a program": Drift(
        "ln -sf /dev/null /usr/local/bin/workbot-diagnose",
        DIAGNOSIS,
        "symbolic link to /dev/null",
        is_mode("/usr/local/bin/workbot-diagnose", "root:755"),
    ),
    **DATABASE_DRIFTS,
    "another primary group": Drift(
        "usermod --gid nogroup workbot",
        USER,
        "group nogroup",
        '[ "$(id --group --name workbot)" = workbot ]',
    ),
    "a tool that leads elsewhere": Drift(
        "ln --symbolic --force /usr/bin/true /opt/workbot/bin/pm2",
        TOOLCHAIN,
        "bin/pm2 leads to ",
        "readlink /opt/workbot/bin/pm2 | grep node_modules",
    ),
    "a directory in the place of node": Drift(
        "rm /opt/workbot/bin/node && mkdir /opt/workbot/bin/node",
        TOOLCHAIN,
        "bin/node is no program",
        "/opt/workbot/bin/node --version",
    ),
    # The last one: what others run has systemd read its files.
    "a unit file that systemd has not read": Drift(
        f"touch {UNITS}/workbot.service",
        UNITS_OF_PM2,
        "read by systemd: workbot.service",
        '[ "$(systemctl show --property=NeedDaemonReload --value workbot.service)" = no ]',
    ),
}


def misplaced(path: str, made: str = "mkdir", kind: str = "a directory") -> Refused:
    """Something else in the place of the path."""
    return Refused(
        f"mv {path} {path}.kept && {made} {path}", f"{path} is {kind}", f"rm -d {path} && mv {path}.kept {path}"
    )


REFUSED = {
    "a policy is a directory": misplaced("/etc/logrotate-workbot.conf"),
    "a file of cron is a directory": misplaced("/etc/cron.d/workbot-diagnose"),
    "a unit is a directory": misplaced(f"{UNITS}/workbot-watchdog-act.socket"),
    "a program is a directory": misplaced("/usr/local/bin/workbot-diagnose"),
    # not the watchdog's, which would restart
    "a configuration is a directory": misplaced("/srv/workbot/config/diagnose.json"),
    "the site is a directory": misplaced("/etc/nginx/conf.d/workbot.conf"),
    "a link is a directory": misplaced("/srv/workbot/current"),
    "a directory is a link": misplaced("/var/lib/workbot-diagnose", "ln -s /tmp", "a symbolic link"),
    "a directory is a file": misplaced("/srv/workbot/shared", "touch", "a file"),
    "the group renamed": Refused(
        "groupmod --new-name renamed workbot",
        "service_group: what runs as workbot has the group renamed",
        "groupmod --new-name workbot renamed",
    ),
    "the user's home changed": Refused(
        "sed -i '/^workbot:/s,:/srv/workbot/home:,:/home/workbot:,' /etc/passwd",
        "service_user: the host has a user workbot with the home /home/workbot",
        "sed -i '/^workbot:/s,:/home/workbot:,:/srv/workbot/home:,' /etc/passwd",
    ),
}
