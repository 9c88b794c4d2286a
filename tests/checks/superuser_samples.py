# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small sound project has for the checks of superuser_checks.py, and how each of these is seen to fail."""

from __future__ import annotations

import superuser_checks as superusers

SOUND = {
    "plugins/module_utils/_postgresql/client.py": "import psycopg\nSAFE_PATH = ''\n",
    "plugins/module_utils/_dump.py": "import subprocess\nfrom ._postgresql.client import SAFE_PATH\n"
    "PSQL = '/usr/bin/psql'\n",
}
MODULE = "plugins/modules/ping_check.py"

BROKEN = [
    (superusers.one_place_connects, MODULE, "", "import psycopg.rows\n", "loads psycopg.rows"),
    (superusers.one_place_connects, MODULE, "", "load('psycopg2')\n", "loads psycopg2"),
    (superusers.one_place_connects, "plugins/module_utils/_dump.py", "SAFE_PATH", "literal", "without the search path"),
    (
        superusers.modules_of_others_connect_nowhere,
        "playbooks/site.yml",
        "  roles:",
        "  tasks: [{community.postgresql.postgresql_ping: {}}]\n  roles:",
        "playbooks/site.yml: community.postgresql.postgresql_ping connects without",
    ),
    (
        superusers.modules_of_others_connect_nowhere,
        "roles/web/tasks/main.yml",
        "",
        "\n- name: Create\n  community.postgresql.postgresql_db: {}\n",
        "roles/web/tasks/main.yml: community.postgresql.postgresql_db connects without",
    ),
]
