# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that run a function of a test."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

FORK = multiprocessing.get_context("fork")


@contextmanager
def forks() -> Iterator[Callable[..., int]]:
    """Starts a process, and ends it; returns its id."""
    started: list[BaseProcess] = []

    def one(work: Callable[..., None], *arguments: object) -> int:
        process = FORK.Process(target=work, args=arguments, daemon=True)
        process.start()
        started.append(process)
        assert process.pid is not None
        return process.pid

    try:
        yield one
    finally:
        for process in started:
            process.kill()
            process.join()
