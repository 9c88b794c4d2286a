# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small sound project has for the checks of superuser_checks.py, and how each of these is seen to fail."""

from __future__ import annotations

import superuser_checks as superusers

SOUND = {
    "roles/cache/vars/main.yml": "__cache_admin: {connect_params: {options: '-c search_path=pg_catalog,pg_temp'}}\n",
    "roles/cache/tasks/install.yml": "- module_defaults: {community.postgresql.postgresql_db: '{{ __cache_admin }}'}\n"
    "  block:\n    - name: Create\n      community.postgresql.postgresql_db:\n        login_db: postgres\n",
    "plugins/module_utils/_postgresql/client.py": "import psycopg\nSAFE_PATH = ''\n",
    "plugins/module_utils/_dump.py": "import subprocess\nfrom ._postgresql.client import SAFE_PATH\n"
    "PSQL = '/usr/bin/psql'\n",
}
TASKS, MODULE = "roles/cache/tasks/install.yml", "plugins/modules/ping_check.py"

BROKEN = [
    (superusers.one_place_connects, MODULE, "", "import psycopg.rows\n", "loads psycopg.rows"),
    (superusers.one_place_connects, MODULE, "", "load('psycopg2')\n", "loads psycopg2"),
    (superusers.one_place_connects, "plugins/module_utils/_dump.py", "SAFE_PATH", "literal", "without the search path"),
    (superusers.tasks_log_in_safely, TASKS, "login_db", "session_role", "Create: sets session_role"),
    (superusers.tasks_log_in_safely, TASKS, "__cache_admin", "__cache_other", "by none of {{ __cache_admin }}"),
    (superusers.tasks_log_in_safely, "roles/cache/vars/main.yml", "pg_catalog", "public", "__cache_admin lacks the"),
    (
        superusers.tasks_log_in_safely,
        "playbooks/site.yml",
        "  roles:",
        "  tasks: [{community.postgresql.postgresql_ping: {}}]\n  roles:",
        "postgresql_ping belongs in a role",
    ),
]
