# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one number of nginx.conf that sites ask for."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._nginx.connections import connections, raised

DEBIAN = "user www-data;\nevents {\n\tworker_connections 768;\n\t# multi_accept on;\n}\n"


def test_the_number_is_raised_and_put_back() -> None:
    text = raised(DEBIAN, 8192)
    assert text == DEBIAN.replace("768;", "8192; # the host had 768")
    assert connections(text) == 8192
    assert raised(text, 8192) == text
    assert connections(raised(text, 4096)) == 4096
    assert raised(text, 0) == DEBIAN


@pytest.mark.parametrize("desired", [0, 500, 768])
def test_it_is_never_lowered(desired: int) -> None:
    assert raised(DEBIAN, desired) == DEBIAN


@pytest.mark.parametrize("text", ["", "events {}\n", "# worker_connections 768;\n"])
def test_where_there_is_none_there_is_none(text: str) -> None:
    assert raised(text, 8192) == text
    assert connections(text) == 0


def test_what_stands_behind_it_stays() -> None:
    assert raised("events { worker_connections 512; } # ours\n", 600) == (
        "events { worker_connections 600; # the host had 512\n } # ours\n"
    )
