# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a host over the months: one command of root's for each thing that is not as declared any more."""

from __future__ import annotations

PSQL = "runuser -u postgres -- psql -XqAtd workbot -v ON_ERROR_STOP=1 -c"
SETTINGS = "/etc/postgresql/*/main/conf.d/workbot.conf"
HBA = "/etc/postgresql/*/main/pg_hba.conf"

# In this order: what would repair the rest goes first.
DRIFTS = {
    "the watchdog stopped": "systemctl disable --now workbot-watchdog.service",
    "a unit edited": "sed -i s/^RestartSec=.*/RestartSec=50/ /etc/systemd/system/workbot-watchdog.service",
    "a unit written and not restarted": "touch /etc/systemd/system/workbot-watchdog-act.socket",
    "the watchdog's helper replaced": "printf '#!/bin/sh\\n' >/usr/local/lib/workbot-watchdog-act",
    "a timer stopped": "systemctl stop logrotate-workbot.timer",
    "a boot unit disabled": "systemctl disable pm2-workbot.service",
    "Nginx not started at boot": "systemctl disable nginx.service",
    "packages removed": "dpkg --remove --force-depends acl logrotate",
    "the user's shell changed": "usermod --shell /bin/bash workbot",
    "a directory opened to everybody": "chmod 0777 /srv/workbot/shared",
    "a directory removed": "rm -r /var/lib/workbot-diagnose",
    "another log level and another secret": (
        "sed -i -e s/^LOG_LEVEL=.*/LOG_LEVEL=debug/ -e s/^JWT_SECRET=.*/JWT_SECRET=another-secret-of-32-characters-x/"
        " /srv/workbot/config/environment /srv/workbot/config/environments/*"
    ),
    "a heap limit edited": "sed -i s/space-size=[0-9]*/space-size=300/ /srv/workbot/config/ecosystem.config.cjs",
    "a process deleted": "workbot-pm2 delete $(workbot-pm2 jlist | tail -n 1 | grep -o '\"pm_id\":[0-9]*' | tail -n 1"
    " | cut -d : -f 2)",
    "a boot unit edited": "sed -i s/^RestartSec=.*/RestartSec=50/ /etc/systemd/system/pm2-workbot.service",
    "the release's directory removed": "rm -r $(readlink -f /srv/workbot/current)",
    "another version of pnpm": 'sed -i \'s/"version": .*/"version": "9.0.0",/\''
    " /opt/workbot/versions/*/node_modules/pnpm/package.json",
    "a command edited": "echo '# tried something' >>/usr/local/bin/workbot-pm2",
    "the site edited": "sed -i 's/keepalive 64;/keepalive 8;/' /etc/nginx/services/workbot/upstream.conf",
    "the policy of the logs edited": "sed -i 's/rotate .*/rotate 99/' /etc/logrotate-workbot.conf",
    "a line of cron deleted": "sed -i '$d' /etc/cron.d/workbot-diagnose",
    "a configuration's mode": "chmod 0644 /srv/workbot/config/diagnose.json",
    "settings of the server edited": f"sed -i -e \"s/^shared_buffers.*/shared_buffers = '64MB'/\""
    f" -e \"s/^work_mem.*/work_mem = '1MB'/\" {SETTINGS} && systemctl restart 'postgresql@*-main.service'",
    "access rules edited": f"sed -i '/^host workbot workbot ::1/d' {HBA}",
    "a role with more rights": f"{PSQL} 'ALTER ROLE workbot CREATEDB'",
    "settings of a role gone": f"{PSQL} 'ALTER ROLE workbot_diagnosis RESET ALL'",
    "a membership given": f"{PSQL} 'GRANT pg_monitor TO workbot_diagnosis'",
    "a right gone": f"{PSQL} 'REVOKE CREATE ON SCHEMA public FROM workbot'",
    "an extension dropped": f"{PSQL} 'DROP EXTENSION pg_stat_statements'",
    "an index dropped": f"{PSQL} 'DROP INDEX idx_conversations_robot_id'",
    "an index invalid": f'{PSQL} "UPDATE pg_index SET indisvalid = false'
    " WHERE indexrelid = 'idx_activation_codes_status'::regclass\"",
}
