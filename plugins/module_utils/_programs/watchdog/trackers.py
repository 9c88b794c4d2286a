# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only several probes together show of PM2's processes: restarts, and workers that PM2 has lost from its list."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterable

from ..._host import proc
from ..._pm2.client import Pm2Client
from ..._pm2.errors import Pm2Error
from ..._pm2.process import Pm2Process
from ..._pm2.rpc import DaemonReading, RpcError, remove_outgoing

_MOST_KEPT = 1000
_PROBE_SECONDS = 15.0
# An ordinary reload leaves the outgoing one out of the list as well, for listen_timeout and kill_timeout at most.
_PATIENCE_SECONDS = 60.0
_RPC_SECONDS = 30.0


class RestartCounter:
    """Restarts of the workers within a window of time, known by PM2's count, the process id and its start time.

    It remembers what each worker was at the last probe. Times are seconds since boot.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._seen: dict[tuple[str, int], Pm2Process] = {}
        self._times: collections.deque[float] = collections.deque(maxlen=_MOST_KEPT)
        self._forgiven: collections.Counter[int] = collections.Counter()
        self._daemon: int | None = None
        self._changing = False
        self.restarted: tuple[int, ...] = ()
        """The workers that were restarted since the probe before the last."""

    @property
    def times(self) -> tuple[float, ...]:
        """Of the restarts within the window: what another watchdog has to know, to go on counting."""
        return tuple(self._times)

    def recall(self, times: Iterable[float]) -> None:
        self._times.extend(times)

    def note(self, processes: Iterable[Pm2Process], now: float, *, daemon: int | None, changing: bool) -> int:
        """Takes one more probe in; returns the restarts within the window.

        What another daemon or a deployment starts is no restart.
        """
        planned = changing or self._changing or daemon != self._daemon
        self._changing, self._daemon = changing, daemon
        seen = {(process.name, process.pm_id): process for process in processes}
        known = [] if planned else seen.keys() & self._seen.keys()
        counts = {key[1]: self._counted(self._seen[key], seen[key]) for key in known}
        self.restarted = tuple(sorted(number for number, count in counts.items() if count))
        self._times.extend([now] * sum(counts.values()))
        self._seen = seen
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()
        return len(self._times)

    def forgive(self, numbers: Iterable[int]) -> None:
        """The next restart of each of these workers is the watchdog's own doing."""
        self._forgiven.update(numbers)

    def _counted(self, before: Pm2Process, after: Pm2Process) -> int:
        # a count that went down was reset, or the worker recreated: then it is the other process that shows
        grown = max(after.restarts - before.restarts, 0)
        another = (before.pid, before.started_at) != (after.pid, after.started_at)
        new = grown or int(another and None not in (before.pid, after.pid))
        forgiven = min(new, self._forgiven[after.pm_id])
        self._forgiven[after.pm_id] -= forgiven
        # PM2's count is what the service's user makes of it
        return min(new - forgiven, _MOST_KEPT)


class Surplus:
    """Workers that serve and that PM2 has lost from its list: nothing would ever watch, restart or stop them.

    It happens when a worker dies while a reload replaces it: PM2 restarts the outgoing one under a name that it does
    not list (`_old_<number>`). Signals do not end it for good, since PM2 starts it once more; PM2, asked for that name,
    does.
    """

    def __init__(self, client: Pm2Client) -> None:
        self._client = client
        self._since: dict[int, float] = {}
        self._tried: set[int] = set()
        self._probed_at = -_PROBE_SECONDS

    def probe(self, daemon: DaemonReading, now: float) -> tuple[int, ...]:
        """Process ids of those that have been there for long; `now` in seconds."""
        if now - self._probed_at >= _PROBE_SECONDS:
            self._probed_at = now
            found = unlisted(daemon.pid, [process.pid for process in daemon.processes if process.pid])
            self._since = {pid: self._since.get(pid, now) for pid in found}
            # a number that was tried may be another process's later
            self._tried.intersection_update(found)
        return tuple(pid for pid, since in self._since.items() if now - since >= _PATIENCE_SECONDS)

    def untried(self, pids: Iterable[int]) -> list[int]:
        return [pid for pid in pids if pid not in self._tried]

    def remove(self, pids: Iterable[int], numbers: Iterable[int]) -> bool:
        """Ask PM2 to end whatever it keeps under the names of outgoing workers; most of them will not exist.

        False when another command changes the processes at this moment: it may be a worker that is just being replaced.
        """
        try:
            with self._client.lock():
                for number in numbers:
                    with contextlib.suppress(RpcError):
                        remove_outgoing(self._client, number, _RPC_SECONDS)
        except (Pm2Error, OSError):
            return False
        self._tried.update(pids)
        self._probed_at = -_PROBE_SECONDS
        return True


def unlisted(daemon: int | None, listed: Iterable[int]) -> list[int]:
    """Children of the daemon that run the same program as one of those listed, and are not."""
    known = set(listed)
    commands = {pid: proc.text(pid, "cmdline") for pid in (proc.children(daemon) if daemon else [])}
    programs = {command for pid, command in commands.items() if pid in known}
    return [pid for pid, command in commands.items() if pid not in known and command and command in programs]
