# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment does to the processes or the sockets that are active it does alone: the watchdog holds back.

That is a matter of moments: the switch, or the time in which a service has no copy of which never two may run. For all
the rest of a deployment, a migration or the wait for new workers, the active ones are the watchdog's as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .._host.lock import lock
from .._pm2.errors import Pm2BusyError
from .actual import read_active
from .context import Context
from .model import ActivationError

# The watchdog's helper restarts a unit within that time.
_PATIENCE = 150.0


@contextmanager
def alone_at_processes(context: Context) -> Iterator[None]:
    """Hold the lock under which no step of the watchdog begins, once one that is under way is over.

    Raises ActivationError where the restart of a unit takes too long.
    """
    path = context.places.process_lock
    busy = ActivationError(f"the watchdog has been restarting the unit for more than {_PATIENCE:g} s: it holds {path}")
    with lock(path, busy, seconds=_PATIENCE):
        if active := read_active(context.places):
            client = context.client(active)
            # without PM2's home there is no step; a service that locks it itself holds nothing up for longer
            with suppress(Pm2BusyError, OSError), client.lock(client.timeout):
                pass
        yield
