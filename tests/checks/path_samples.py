# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the small sound project has for the check of path_checks.py, and how that is seen to fail."""

from __future__ import annotations

import path_checks as paths

MODULE, PROGRAM = "plugins/modules/ping_check.py", "plugins/module_utils/_programs/metrics/publish.py"
IMPORT = "from ansible_collections.workbot.stability.plugins.module_utils._link import link\n"
SOUND = {
    # the first one no module imports, the second one root runs by itself
    "plugins/module_utils/_link.py": "def link(path):\n    path.symlink_to('x')\n",
    PROGRAM: "def drop(path):\n    os.unlink(path)\n",
}

BROKEN = [
    (paths.root_uses_no_paths, MODULE, "", "import os\n\nos.chown(PATH, 0, 0)\n", "ping_check.py:3: chown by path"),
    (paths.root_uses_no_paths, MODULE, "", "Path(HOME, 'dump.pm2').chmod(0o600)\n", "ping_check.py:1: chmod by path"),
    (paths.root_uses_no_paths, MODULE, "", "Path(HOME, 'pm2.pid').read_text()\n", "ping_check.py:1: read_text by path"),
    (paths.root_uses_no_paths, MODULE, "", "fresh.replace(path)\n", "ping_check.py:1: replace by path"),
    (
        paths.root_uses_no_paths,
        MODULE,
        "",
        IMPORT,
        "_link.py:2: symlink_to by path as root",
    ),
    (paths.root_uses_no_paths, PROGRAM, "os.unlink(", "shutil.rmtree(", "publish.py:2: rmtree by path as root"),
    (paths.root_uses_no_paths, PROGRAM, "os.unlink(path)", "path", "publish.py does not use unlink any more"),
]
