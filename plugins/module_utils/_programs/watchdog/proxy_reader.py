# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the service through Nginx at each probe, and has root look at it where that fails. Judges nothing."""

from __future__ import annotations

import time
from concurrent.futures import Future

from ..._checks.nginx import is_gone
from ..._checks.workers import ANSWERED, ask
from ..._host.later import later
from ..._net.http import Request
from .answers import Answered
from .proxy import HEALTHY, Verdict
from .root_client import examine_proxy
from .settings import Settings

# So long a test of the proxy is believed.
_TEST_SECONDS = 4.0
# And so long one that found it healthy: it may have the number of its main process in another file than Debian's.
_HEALTHY_SECONDS = 60.0


class ProxyReader:
    """Both questions are asked at the side, while the workers are: each takes as long."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: Future[Answered | None] | None = None
        self._testing: Future[Verdict | None] | None = None
        self._tested: Verdict | None = None
        self._tested_at = -_TEST_SECONDS
        self._is_silent = False
        self.is_suspect = False
        """Whether at the last probe a proxy did not answer, or had no main process: who answered then?"""

    def begin(self) -> None:
        self._asked = later("proxy", self._ask)
        # of one that was suspect before: it takes as long as the question itself
        self._testing = later("proxy", self._test) if self.is_suspect and not self._is_tested else None

    def answer(self) -> Answered | None:
        """None where there is none to ask."""
        answered = self._asked.result() if self._asked else None
        self._is_silent = answered is not None and answered.kind != ANSWERED
        # around an existing service it may be another program's port
        gone = answered is not None and not self._settings.existing and is_gone()
        self.is_suspect = self._is_silent or gone
        if not self.is_suspect:
            self._tested = None
        return answered

    def test(self) -> Verdict | None:
        """What root sees of it now; None where root can't be asked."""
        if self._testing:
            return self._testing.result()
        return self._tested if self._is_tested else self._test()

    def _ask(self) -> Answered | None:
        settings = self._settings
        if not settings.url:
            return None
        headers = {"Host": settings.host_name} if settings.host_name else {}
        request = Request(url=settings.url, headers=headers, timeout=settings.answer_timeout)
        return Answered.of(ask(request))

    def _test(self) -> Verdict | None:
        self._tested = examine_proxy(self._settings.act_socket)
        self._tested_at = time.monotonic()
        return self._tested

    @property
    def _is_tested(self) -> bool:
        """Whether it may do without another process of root's: on a host in trouble each is one more that waits."""
        if self._tested is None:
            return False
        at_odds = self._is_silent or self._tested.state != HEALTHY
        return time.monotonic() - self._tested_at < (_TEST_SECONDS if at_odds else _HEALTHY_SECONDS)
