# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From each fault to well again, and what the watchdog costs: writes what the scenario recovery has measured last.

`make benchmark-recovery` runs the scenario's tests first, on the host of the molecule scenarios.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "support"))

from recovery_table import RESULTS, tables  # noqa: E402

RESULT = Path(__file__).parent / "results" / "recovery.md"
HEAD = """# Faults and recovery

Debian 13 in a container with two cores, two workers of the reference service, the watchdog at its defaults. Health is
asked five times a second through Nginx, each time on a new connection; a probe fails without a good answer within two
seconds. Seconds are counted from the fault: until the watchdog is not content any more (empty: it noticed nothing), and
until every probe is answered well and the watchdog is content again. Each row is the last run of its fault, which need
not be the same run for all. `make benchmark-recovery` writes this file.

"""


def main() -> None:
    if not RESULTS.is_file():
        sys.exit(f"{RESULTS} is not there: run the tests of molecule/recovery first")
    RESULT.write_text(HEAD + "\n".join(tables()).strip() + "\n", encoding="utf-8")
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
