# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in the host: cron, the clock, and what the kernel and systemd have had to do."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...._checks.findings import OK, WARNING, Finding
from ...._host import proc
from ...._host.units import failed_units
from ..runner import Context

_HOUR = 3600.0
_DAY = 24 * _HOUR
# Time servers correct by milliseconds: what is more was set by hand, or the host was asleep.
_JUMP_SECONDS = 60.0
_VMSTAT = Path("/proc/vmstat")
_REBOOT = Path("/run/reboot-required")
_CONTAINER = Path("/run/systemd/container")
# linux/timex.h
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_TIMEX_BYTES = 256
_TIMEX_STATUS_LONGS = 5


def check_cron(context: Context) -> list[Finding]:
    """Has cron really run the hourly diagnosis? Its report tells."""
    section = context.section("cron")
    times = [_changed(path) for path in Path(section["directory"]).glob(f"{section['report']}*")]
    # a host that has just been set up or started has no report yet
    begun = max(_changed(Path(section["since"])), time.time() - proc.uptime())
    hours = (context.now - max([begun, *times])) / _HOUR
    return [judge_cron(hours, float(section["overdue_hours"]), bool(times))]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def judge_cron(hours: float, limit: float, reported: bool) -> Finding:
    value = round(max(0.0, hours), 1)
    if hours > limit:
        message = f"no hourly diagnosis for {value} hours. See `systemctl status cron` and /etc/cron.d."
        return Finding("cron", WARNING, message, value, limit, "hours")
    message = f"the last hourly diagnosis was {60 * value:.0f} min ago"
    return Finding("cron", OK, message if reported else "no hourly diagnosis was due yet", value, limit, "hours")


def check_clock(context: Context) -> list[Finding]:
    """Is the clock kept by a time server, and was it set? Certificates, tokens and logs depend on it."""
    offset = context.now - proc.uptime()
    before = context.samples.previous("clock.offset")
    boot = proc.boot_id()
    jumped = offset - before.value if before is not None and before.identity == boot else 0.0
    context.samples.record("clock.offset", boot, offset, context.now, step=0)
    jumps = context.samples.happened("clock.jumps", float(abs(jumped) > _JUMP_SECONDS), context.now, _DAY)
    return judge_clock(read_synchronised(), _CONTAINER.exists(), jumped, jumps)


def read_synchronised() -> bool | None:
    """What the kernel says: adjtimex(2) without any change, which everybody may call. None where it does not tell."""
    buffer = (ctypes.c_long * (_TIMEX_BYTES // ctypes.sizeof(ctypes.c_long)))()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    # struct timex: modes (padded), offset, freq, maxerror, esterror, status
    status = ctypes.c_int.from_buffer(buffer, _TIMEX_STATUS_LONGS * ctypes.sizeof(ctypes.c_long)).value
    return state != _TIME_ERROR and not status & _STA_UNSYNC


def judge_clock(synchronised: bool | None, container: bool, jumped: float, jumps: float) -> list[Finding]:
    """`jumped`: by how many seconds the clock was set since the last look; negative when it was set back."""
    findings = []
    if jumps:
        last = f", the last time by {jumped:+.0f} s" if abs(jumped) > _JUMP_SECONDS else ""
        message = f"the clock was set {jumps:g} times in the last day{last}. Find out by whom."
        findings.append(Finding("clock.jump", WARNING, message, round(jumps), 1, "jumps"))
    if synchronised:
        return [*findings, Finding("clock", OK, "kept by a time server", "synchronised", "synchronised")]
    if container or synchronised is None:
        message = "not known to be kept by a time server; in a container that is up to the machine below"
        return [*findings, Finding("clock", OK, message, "unknown", "synchronised")]
    message = "not synchronised with a time server. Install and start one: apt install systemd-timesyncd."
    return [*findings, Finding("clock", WARNING, message, "unsynchronised", "synchronised")]


def check_kernel(context: Context) -> list[Finding]:
    """Processes killed for lack of memory, units that failed, a reboot that is due."""
    known = {name if "." in name else f"{name}.service" for name in context.config["units"]}
    return [
        judge_kills(_kills(context)),
        judge_failed(set(failed_units()) - known),
        judge_reboot(_REBOOT.exists(), _text(_REBOOT.with_name("reboot-required.pkgs")).split()),
    ]


def _kills(context: Context) -> float:
    """How many processes the kernel has killed in the last day for lack of memory, as far as runs could see."""
    counted = kills_in(_text(_VMSTAT))
    boot = proc.boot_id()
    before = context.samples.previous("kernel.kills")
    new = 0.0
    if before is not None:
        new = counted - before.value if before.identity == boot else counted
    context.samples.record("kernel.kills", boot, counted, context.now, step=0)
    return context.samples.happened("kernel.kills", new, context.now, _DAY)


def kills_in(vmstat: str) -> int:
    """The kernel's own count since it was started; control groups are in it."""
    return next((int(line.split()[1]) for line in vmstat.splitlines() if line.startswith("oom_kill ")), 0)


def judge_kills(count: float) -> Finding:
    if not count:
        return Finding("kernel.memory", OK, "no process was killed for lack of memory in the last day", 0, 1, "kills")
    message = f"the kernel killed {count:g} processes for lack of memory in the last day"
    advice = "See `journalctl -k --grep oom` for which, and the check memory for what grows."
    return Finding("kernel.memory", WARNING, f"{message}. {advice}", round(count), 1, "kills")


def judge_failed(units: Iterable[str]) -> Finding:
    names = sorted(units)
    if not names:
        return Finding("kernel.units", OK, "no unit has failed", 0, 1, "units")
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")  # noqa: PLR2004
    message = f"failed: {shown}. See `systemctl status {names[0]}`; afterwards `systemctl reset-failed`."
    return Finding("kernel.units", WARNING, message, len(names), 1, "units")


def judge_reboot(required: bool, packages: Sequence[str]) -> Finding:
    if not required:
        return Finding("kernel.reboot", OK, "no reboot is due", "no", "no")
    named = f" for {', '.join(sorted(set(packages))[:5])}" if packages else ""
    message = f"a reboot is due{named}. Until then what was updated is not in use; the service comes back by itself."
    return Finding("kernel.reboot", WARNING, message, "yes", "no")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
