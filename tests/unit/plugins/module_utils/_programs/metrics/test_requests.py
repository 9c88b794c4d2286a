# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.requests import Objectives, Requests
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.text import render
from hypothesis import given
from hypothesis import strategies as st

LINE: dict[str, Any] = {
    "route": "/orders/:id",
    "status": 200,
    "seconds": 0.02,
    "upstream_seconds": "0.015",
    "rate_limit": "PASSED",
    "connection_limit": "PASSED",
}


def shown(*lines: dict[str, Any], entry: bool = True) -> list[str]:
    requests = Requests(Objectives(99.9, 99, 0.5), entry)
    for line in lines:
        requests.add(json.dumps(line).encode())
    text = render("shop", requests.metrics())
    return [line.removeprefix("nodejs_service_") for line in text.splitlines() if not line.startswith("#")]


def test_answers_are_counted_by_route_and_class() -> None:
    found = shown(LINE, LINE, {**LINE, "status": 503}, {**LINE, "route": "other", "status": 404}, entry=False)
    assert [line for line in found if line.startswith("http_requests_total")] == [
        'http_requests_total{service="shop",entry="false",route="/orders/:id",status="2xx"} 2',
        'http_requests_total{service="shop",entry="false",route="/orders/:id",status="5xx"} 1',
        'http_requests_total{service="shop",entry="false",route="other",status="4xx"} 1',
    ]


def test_durations_are_a_histogram_and_what_is_slow_is_counted() -> None:
    labels = 'service="shop",entry="true",route="/orders/:id"'
    found = shown(LINE, {**LINE, "seconds": 0.5, "upstream_seconds": "2.000, 0.400"}, {**LINE, "seconds": 12.5})
    assert {
        f'http_request_duration_seconds_bucket{{{labels},le="0.01"}} 0',
        f'http_request_duration_seconds_bucket{{{labels},le="0.025"}} 1',
        f'http_request_duration_seconds_bucket{{{labels},le="0.5"}} 2',
        f'http_request_duration_seconds_bucket{{{labels},le="10.0"}} 2',
        f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}} 3',
        f"http_request_duration_seconds_sum{{{labels}}} 13.02",
        f"http_request_duration_seconds_count{{{labels}}} 3",
        f"http_slow_requests_total{{{labels}}} 1",
        # of the server that has answered
        f'http_upstream_duration_seconds_bucket{{{labels},le="1.0"}} 3',
        f"http_upstream_duration_seconds_sum{{{labels}}} 0.43",
        'objective_ratio{service="shop",objective="availability"} 0.999',
        'objective_ratio{service="shop",objective="latency"} 0.99',
    } <= set(found)


def test_what_is_known_before_begins_at_nothing() -> None:
    """An error that makes a new series is no increase to Prometheus."""
    text = render("shop", Requests(Objectives(99.9, 99, 0.5), True, ["/", "other"]).metrics())
    for sample in (
        'requests_total{service="shop",entry="true",route="other",status="5xx"}',
        'slow_requests_total{service="shop",entry="true",route="/"}',
        'request_duration_seconds_count{service="shop",entry="true",route="/"}',
    ):
        assert f"nodejs_service_http_{sample} 0\n" in text


def test_the_life_of_a_websocket_is_no_duration() -> None:
    found = shown({**LINE, "status": 101, "seconds": 86400.0})
    assert 'http_requests_total{service="shop",entry="true",route="/orders/:id",status="1xx"} 1' in found
    assert not [line for line in found if "duration" in line or "slow" in line]


@pytest.mark.parametrize("upstream", ["", "-", "0.010, -"])
def test_what_the_service_has_not_answered_took_none_of_its_time(upstream: str) -> None:
    found = shown({**LINE, "status": 502, "upstream_seconds": upstream})
    assert not [line for line in found if "upstream" in line]
    assert [line for line in found if line.startswith("http_request_duration_seconds_count")]


def test_what_a_limit_has_refused_is_counted() -> None:
    refused = {**LINE, "status": 429, "upstream_seconds": "", "rate_limit": "REJECTED"}
    assert {
        'http_limited_requests_total{service="shop",entry="true",limit="rate"} 1',
        'http_limited_requests_total{service="shop",entry="true",limit="connections"} 0',
    } <= set(shown(LINE, refused))


@given(st.binary() | st.fixed_dictionaries({name: st.none() | st.text() | st.floats() for name in LINE}))
def test_what_is_no_line_of_the_log_is_no_request(line: Any) -> None:
    requests = Requests(Objectives(99.9, 99, 0.5), entry=True)
    requests.add(line if isinstance(line, bytes) else json.dumps({**line, "status": None}).encode())
    assert "requests_total{" not in render("shop", requests.metrics()).replace("limited_requests_total{", "")
