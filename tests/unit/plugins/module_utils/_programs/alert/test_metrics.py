# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert import metrics
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.metrics import publish, run
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.metrics import render
from hypothesis import given
from hypothesis import strategies as st

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(['"', "\\", "\n", '"} 1\nx{a="', "\ud800", 10**400, 1e999, float("nan"), 1e308]),
    st.integers(),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)
WORKERS = st.lists(
    st.dictionaries(st.sampled_from(["pm_id", "online", "rss", "restarts", "answer_ms"]), ANYTHING) | ANYTHING
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "service": ANYTHING,
        "time": ANYTHING,
        "state": ANYTHING,
        "targets": st.dictionaries(st.text(max_size=5), st.fixed_dictionaries({"phase": ANYTHING})) | ANYTHING,
        "problems": st.lists(st.fixed_dictionaries({"key": ANYTHING, "severity": ANYTHING})) | ANYTHING,
        "budget": st.fixed_dictionaries({"used": ANYTHING, "limit": ANYTHING}) | ANYTHING,
        "actions_total": ANYTHING,
        "readings": st.fixed_dictionaries({"workers": WORKERS, "host": ANYTHING}) | ANYTHING,
    },
)
TEXT = r'"(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(
    rf'nodejs_service_[a-z_]+\{{service="shop"(?:,(?:target|phase|state|key|severity|worker)={TEXT})*\}}'
)
COMMENT = re.compile(r"# (HELP nodejs_service_[a-z_]+ [A-Za-z0-9 ,.']+|TYPE nodejs_service_[a-z_]+ (gauge|counter))")


@given(STATUSES)
def test_whatever_the_status_is_the_metrics_are_of_the_service_alone(status: dict[str, Any]) -> None:
    text = render({**status, "service": "shop"})
    assert text.endswith("\n")
    seen = set()
    for line in text.removesuffix("\n").split("\n"):
        if COMMENT.fullmatch(line):
            continue
        series, _space, value = line.rpartition(" ")
        assert SERIES.fullmatch(series), line
        assert float(value) - float(value) == 0, line
        assert series not in seen, line
        seen.add(series)


def test_a_flood_of_series_is_cut() -> None:
    text = render({"service": "shop", "problems": [{"key": "k" * 5000 + str(n), "severity": n} for n in range(5000)]})
    assert text.count("nodejs_service_problem{") == 500
    assert max(map(len, text.splitlines())) < 500


def test_a_copy_is_made_of_what_has_changed_and_goes_with_it(tmp_path: Path) -> None:
    status, target = tmp_path / "status.json", tmp_path / "shop.prom"
    target.symlink_to(status)  # as it was in 0.1.0
    assert publish("shop", status, target, None) is None
    assert not target.is_symlink()
    status.write_text(json.dumps({"service": "kiosk", "time": 5}), encoding="utf-8")
    last = publish("shop", status, target, None)
    assert 'nodejs_service_heartbeat_timestamp_seconds{service="shop"} 5\n' in target.read_text(encoding="utf-8")
    assert target.stat().st_mode & 0o777 == 0o644
    written = target.stat().st_mtime_ns
    assert publish("shop", status, target, last) == last
    assert target.stat().st_mtime_ns == written
    status.write_text("{", encoding="utf-8")
    publish("shop", status, target, last)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["pipe", "link", "directory", "large", "list"])
def test_what_is_no_status_makes_no_metrics_and_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    status, target = tmp_path / "status.json", tmp_path / "shop.prom"
    target.touch()
    (tmp_path / "other").write_text(json.dumps({"time": 5}), encoding="utf-8")
    makers = {
        "pipe": lambda: os.mkfifo(status),
        "link": lambda: status.symlink_to(tmp_path / "other"),
        "directory": status.mkdir,
        "large": lambda: status.write_text(json.dumps({"time": 5}) + " " * 2**20, encoding="utf-8"),
        "list": lambda: status.write_text("[1]", encoding="utf-8"),
    }
    makers[kind]()
    publish("shop", status, target, None)
    assert not target.exists()


def test_it_ends_where_it_can_not_write_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"time": 5}), encoding="utf-8")
    with pytest.raises(SystemExit):
        run("shop", str(status), str(tmp_path / "gone" / "shop.prom"))
    assert "No such file or directory" in capsys.readouterr().err
    assert metrics.__doc__
