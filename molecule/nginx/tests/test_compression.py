# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which answers are compressed, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge import Edge, behind, edge_site
from testinfra.host import Host

BEHIND = 9131
GZIP = {"Accept-Encoding": "gzip, br"}


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND)) as site:
        site.serve()
        yield site


def encoding(edge: Edge, media_type: str, headers: dict[str, str]) -> list[str]:
    question = {"method": "HEAD", "headers": headers}
    return list(edge.ask(f"/typed/{media_type}", **question)["headers"].get("content-encoding", []))


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/json;charset=utf-8", "text/javascript", "text/css", "image/svg+xml", "text/html"],
)
def test_text_is_compressed_for_clients_that_take_it(edge: Edge, media_type: str) -> None:
    assert encoding(edge, media_type, GZIP) == ["gzip"]
    assert encoding(edge, media_type, {**GZIP, "Via": "1.1 cdn"}) == ["gzip"]
    assert encoding(edge, media_type, {}) == []
    assert edge.ask(f"/typed/{media_type}")["headers"]["vary"] == ["Accept-Encoding"]


@pytest.mark.parametrize("media_type", ["text/event-stream", "image/png", "font/woff2", "application/octet-stream"])
def test_what_is_compressed_already_or_must_not_wait_is_left_as_it_is(edge: Edge, media_type: str) -> None:
    assert encoding(edge, media_type, GZIP) == []


def test_a_site_may_have_nothing_compressed(edge: Edge) -> None:
    edge.serve(nginx_gzip_types=[])
    assert encoding(edge, "text/html", GZIP) == []
    said = edge.refuse(nginx_gzip_types=["text/html"])
    assert "nginx_gzip_types[0]" in said
    assert "text/html is always one of them" in said
