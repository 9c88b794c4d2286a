# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program in a session of its own, whose number stays its own until all of its group is ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess


class Kept(subprocess.Popen[bytes]):
    """The first process of a session of its own. When it has ended it stays in the process table until end_group().

    Until then nothing else gets its number, which is also its group's: what is sent to that meets nobody else.
    """

    def poll(self) -> int | None:
        if self.returncode is None:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found:
                self.returncode = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        status = self.poll()
        if status is None:
            self.await_end(timeout)
            status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def await_end(self, timeout: float | None, output: int | None = None) -> bool:
        """Wait until it has ended, for so many seconds, or until nobody reads any more what is written to `output`.

        Return whether it was the last. Without polling, as Popen does it: a descriptor can be waited for with a limit.
        """
        descriptor = os.pidfd_open(self.pid)
        try:
            ends = select.poll()
            ends.register(descriptor, select.POLLIN)
            if output is not None:
                # of a pipe whose reader is gone, and of a connection that is closed
                ends.register(output, 0)
            found = dict(ends.poll(None if timeout is None else timeout * 1000))
        finally:
            os.close(descriptor)
        return output in found and descriptor not in found

    def end_group(self) -> None:
        """What the program left running in its group (a build server, a watcher) must not outlive it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        # Popen.wait does nothing where the status is known, and takes a lock that a signal may have left taken.
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
