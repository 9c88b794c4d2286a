# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the form of the channels' URLs: on the controller, before anything changes.

Which kinds there are and what belongs in each only the host's Apprise knows, which is asked as soon as it is there.
URLs are secrets: no message quotes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_FORM = re.compile(r"[a-z][a-z0-9]{0,19}://[^ ]*")


def url_problems(urls: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each URL that is wrong, by its place in the list, with the reason."""
    for place, url in enumerate(urls):
        if not _FORM.fullmatch(url) or not url.isprintable():
            yield place, "expected an Apprise URL of the form kind://..., its kind in lower case, without spaces"
        elif url in urls[:place]:
            yield place, "is there twice: each message would come twice"
