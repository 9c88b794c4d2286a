# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.later import later


def test_what_is_done_at_the_side_is_there_when_it_is_done() -> None:
    may_end = threading.Event()
    asked = later("test", lambda text: (may_end.wait(60), text), "answer")
    assert not asked.done()
    assert next(thread for thread in threading.enumerate() if thread.name == "test").daemon
    may_end.set()
    assert asked.result(60) == (True, "answer")


def test_what_fails_at_the_side_fails_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        later("test", lambda: 1 / 0).result(60)
