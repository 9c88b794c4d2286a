# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever has an account on the host reads neither what a service asks its database nor what is wrong with it."""

from __future__ import annotations

from attacks import HOSTILE, Attacker
from testinfra.host import Host
from waiting import until

MARKER = "molecule_told_to_nobody"
STATUS = f"/run/{HOSTILE}-watchdog/status.json"
# Settings that were written again are a reason for another look.
CONFIG = f"/srv/{HOSTILE}/config/diagnose.json"
HISTORY = f"/var/lib/{HOSTILE}-metrics/history.db"
UNITS = f"{HOSTILE}-watchdog.service {HOSTILE}-metrics.service"
FORGET = "SELECT workbot_stability.pg_stat_statements_reset()"
# Whatever their modes were.
OPENED = f"chmod 0755 {STATUS.rpartition('/')[0]} {HISTORY.rpartition('/')[0]} && chmod 0644 {STATUS} {HISTORY}"
# Whatever the kernel lets the user open, a file of any age, is looked at.
SEARCH = """
cd /
find /etc /home /opt /run /srv /tmp /usr/local /var -xdev -type f -readable -size -64M -print0 2>/dev/null \
    | xargs -0 grep --files-with-matches --fixed-strings --regexp="$1" 2>/dev/null
systemctl show --all '*' | grep --fixed-strings --regexp="$1"
ps -ef | grep --fixed-strings --regexp="$1" | grep --invert-match --regexp=grep --regexp=runuser
true
"""


def found(host: Host, user: str) -> list[str]:
    """Where that user finds the statement."""
    lines: str = host.check_output("runuser -u %s -- sh -c %s search %s", user, SEARCH, MARKER)
    return [line for line in lines.splitlines() if MARKER not in line or "StatusText" in line]


def test_no_other_user_reads_statements_or_problems(host: Host, attacker: Attacker) -> None:
    host.check_output(f"{OPENED} && systemctl restart {UNITS}")
    try:
        attacker.sql(f"SELECT pg_sleep(1.5) AS {MARKER}")
        host.check_output(f"touch {CONFIG}")
        for path in (STATUS, HISTORY):
            until(f"it is told in {path}", lambda path=path: host.run("grep -q %s %s", MARKER, path).rc == 0, 120)
        assert STATUS in found(host, "root")
        assert found(host, "nobody") == []
    finally:
        # the next look begins anew, and what it told is over
        host.check_output(f"runuser -u postgres -- psql -XAtqc %s {HOSTILE}", FORGET)
        host.check_output(f"rm /var/lib/{HOSTILE}-diagnose/statements.json && touch {CONFIG}")
        until("it is over", lambda: host.run("grep -q %s %s", MARKER, STATUS).rc, 120)
