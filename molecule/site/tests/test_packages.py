# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages are installed on a host that another run has left half done, too."""

from __future__ import annotations

import subprocess
from typing import Any

from edge import ON_HOST
from hosts import ROOT

PACKAGE = "tree"


def test_what_dpkg_was_interrupted_in_is_finished_first(host: Any) -> None:
    """As when the power goes while a package is set up: apt refuses everything until then."""
    host.check_output("dpkg --status logrotate > /var/lib/dpkg/updates/0001")
    assert "dpkg was interrupted" in host.run(f"apt-get install -y {PACKAGE}").stderr
    install = [*ON_HOST, "--module-name=workbot.stability.packages", f"--args=name={PACKAGE}"]
    try:
        done = subprocess.run(install, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert host.package(PACKAGE).is_installed
        assert host.check_output("ls /var/lib/dpkg/updates") == ""
    finally:
        host.check_output(f"dpkg --configure -a && dpkg --purge {PACKAGE}")
