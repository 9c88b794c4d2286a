# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small sound project has for the check of ansible_checks.py, and how this is seen to fail."""

from __future__ import annotations

import ansible_checks as ansible

ACTION = "plugins/action/ping_check.py"
SOUND = {
    ansible.KNOWING: "from ansible._internal import _ssh\n\ndef role_in(task):\n    return task._role\n",
    ACTION: "import ansible.errors\nfrom ..plugin_utils._ansible import role_in\n\n"
    "class ActionModule:\n    def run(self):\n        self._role = role_in(self._task)\n        return self._role\n",
}
CHECK = ansible.one_file_knows_what_is_ansible_s_own
BROKEN = [
    (
        CHECK,
        ACTION,
        "role_in(self._task)",
        "self._task._role",
        f"{ACTION}: uses self._task._role,",
    ),
    (CHECK, ACTION, "self._task)", "self._low_level)", "uses self._low_level"),
    (CHECK, ACTION, "role_in(self._task)", "getattr(self._task, '_role')", "uses getattr(self._task, '_role')"),
    (CHECK, ACTION, "ansible.errors", "ansible._internal", "uses ansible._internal"),
    (
        CHECK,
        "molecule/site/tests/test_site.py",
        "",
        "from ansible._internal._tags import Tag\n",
        "uses ansible._internal._tags",
    ),
    (CHECK, "plugins/modules/ping_check.py", "", "from ansible.module_utils.basic import _load\n", "uses _load"),
]
