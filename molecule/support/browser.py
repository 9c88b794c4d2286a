# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A headless Chromium on a host, without a network: what a page says in its console, what axe-core says of the page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from testinfra.host import Host

PACKAGES = ("chromium-headless-shell", "fonts-wqy-microhei")
HOME = "/var/tmp/molecule-browser"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
AXE = "axe-core@4.14.1"
DARK = "--blink-settings=preferredColorScheme=0"
# Of its own sandbox nothing is asked here, and a container may not have the namespaces for it, nor for a network of its
# own: whatever is not a file is asked of a proxy that is not there.
_CHROMIUM = (
    "timeout 60 chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage --proxy-server=127.0.0.1:9"
    " --enable-logging=stderr --dump-dom"
)
_CONSOLE = re.compile(r"CONSOLE(?::\d+)?\] (.*)")
_FOUND = re.compile("FOUND(.*)FOUND", re.DOTALL)
# The page's own policy lets no script in: it is asked without that.
_AS_ASKED = """
import pathlib, re, sys
page, ask = pathlib.Path(sys.argv[1]).read_text().replace(*sys.argv[2:4]), sys.argv[4]
if ask:
    axe = pathlib.Path("package/axe.min.js").read_text().replace("</script", "<")
    page = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    page = page.replace("</body>", f"<script>{axe}</script><script>{ask}</script></body>")
pathlib.Path("page.html").write_text(page)
"""
_ASK = """
document.querySelectorAll("details").forEach(one => one.open = true);
const wide = document.documentElement.scrollWidth - window.innerWidth;
axe.run({resultTypes: ["violations"]}).then(found => {
  const wrong = found.violations.map(one => [one.id, one.impact, one.nodes.map(node => node.html.slice(0, 200))]);
  document.body.textContent = "FOUND" + JSON.stringify({wrong, passed: found.passes.length, wide}) + "FOUND";
});
"""


@dataclass
class Browser:
    host: Host

    def shown(self, page: str, *options: str, old: str = "", new: str = "", ask: str = "") -> tuple[str, list[str]]:
        """A page of the host as the browser has it, with `new` in the place of `old`, and what its console says."""
        self.host.check_output(f"cd {HOME} && python3 -c %s %s %s %s %s", _AS_ASKED, page, old or " ", new or " ", ask)
        done = self.host.run(
            f"cd / && runuser -u nobody -- env HOME={HOME}/home {_CHROMIUM} {' '.join(options)} file://{HOME}/page.html"
        )
        assert done.rc == 0, done.stderr
        return done.stdout, _CONSOLE.findall(done.stderr)

    def judged(self, page: str, *options: str, old: str = "", new: str = "") -> dict[str, Any]:
        """What axe-core finds wrong, how many of its rules the page passes, by how much it is wider than the window."""
        shown, _console = self.shown(page, "--virtual-time-budget=20000", *options, old=old, new=new, ask=_ASK)
        answer = _FOUND.search(html.unescape(shown))
        assert answer, shown[-500:]
        found: dict[str, Any] = json.loads(answer[1])
        return found


@contextmanager
def browser(host: Host, bin_directory: str) -> Iterator[Browser]:
    """Installed, and removed at the end. npm is in that directory."""
    apt = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"
    host.check_output("apt-get update -qq")
    host.check_output(f"{apt} install --no-install-recommends {' '.join(PACKAGES)}")
    try:
        host.check_output(f"install -d {HOME} && install -d -o nobody {HOME}/home")
        pack = f"NODE_EXTRA_CA_CERTS={AUTHORITIES} PATH={bin_directory}:$PATH npm pack --silent {AXE}"
        host.check_output(f"cd {HOME} && {pack} && tar -xzf axe-core-*.tgz package/axe.min.js")
        yield Browser(host)
    finally:
        host.check_output(f"{apt} purge --auto-remove {' '.join(PACKAGES)}")
        host.check_output(f"rm -rf {HOME}")
