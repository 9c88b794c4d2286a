# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import Notice
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.texts import Writer, neutral
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.translations import LABELS, PHRASES
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import LANGUAGES, Code


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def notice(kind: str = "opened", code: str = "worker_hung", **more: object) -> Notice:
    known = {"kind": kind, "key": f"service.{code}", "code": code, "severity": "critical", "time": 1000.0}
    return Notice(**{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [*LABELS.values(), *PHRASES.values()])
def test_each_language_has_every_text(words: tuple[str, ...]) -> None:
    assert len(words) == len(LANGUAGES)
    assert all(words)


def test_english() -> None:
    text = Writer("shop", "web1", "en").write(notice(message="Worker 3 has not answered for 15 s."))
    assert text.title == "shop on web1: CRITICAL: a worker hangs"
    assert text.body == (
        "Worker 3 has not answered for 15 s.\nIt is killed, and PM2 restarts it.\nTime: 1970-01-01 00:16:40 +0000"
    )


def test_chinese() -> None:
    text = Writer("shop", "web1", "zh").write(notice(message="Worker 3 has not answered for 15 s."))
    assert text.title == "shop（web1）严重：工作进程卡死"
    assert text.body == (
        "详情：Worker 3 has not answered for 15 s.\n将结束该进程，并由 PM2 重新启动。\n时间：1970-01-01 00:16:40 +0000"
    )


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("en", "It lasted 2 min 5 s, from 1970-01-01 00:14:35 +0000 to 1970-01-01 00:16:40 +0000."),
        ("zh", "持续了 2 分钟 5 秒，从 1970-01-01 00:14:35 +0000 到 1970-01-01 00:16:40 +0000。"),
    ],
)
def test_the_all_clear_has_the_duration_and_what_was_done(language: str, body: str) -> None:
    end = notice("resolved", severity="info", since=875.0, actions=("kill_worker", "unknown_thing"))
    lines = Writer("shop", "web1", language).write(end).body.splitlines()
    assert lines[0] == body
    assert "unknown_thing" in lines[1]


@pytest.mark.parametrize(
    ("language", "title", "body"),
    [
        ("en", "shop on web1: WARNING: the diagnosis: disk./var", "Value: 91.5 %; threshold: 85 %."),
        ("zh", "shop（web1）警告：诊断：磁盘./var", "当前值：91.5 %；阈值：85 %。"),
    ],
)
def test_findings_of_the_diagnosis(language: str, title: str, body: str) -> None:
    values = {"check": "disk./var", "value": 91.5, "threshold": 85, "unit": "%"}
    text = Writer("shop", "web1", language).write(notice(code="finding", severity="warning", values=values))
    assert text.title == title
    assert text.body.splitlines()[0] == body


@pytest.mark.parametrize(("language", "body"), [("en", "Value: 3; threshold: 0.5."), ("zh", "当前值：3；阈值：0.5。")])
def test_a_finding_may_have_no_unit(language: str, body: str) -> None:
    values = {"check": "release", "value": 3, "threshold": 0.5, "unit": ""}
    text = Writer("shop", "web1", language).write(notice(code="finding", values=values))
    assert text.body.splitlines()[0] == body


def test_a_finding_without_a_number_and_an_unknown_code_are_reported_too() -> None:
    writer = Writer("shop", "web1", "en")
    finding = writer.write(notice(code="finding", values={"check": "secrets", "value": None}, message="JWT is short."))
    assert finding.body.splitlines()[0] == "JWT is short."
    assert "Value" not in finding.body
    assert writer.write(notice(code="new_thing", message="It is new.")).title.endswith("CRITICAL: new_thing")


def test_no_value_is_taken_for_a_place_code_or_markup() -> None:
    values = {"check": "{service}{0.__class__}%s<!channel> @everyone `x`", "value": "{threshold}", "threshold": "a\nb"}
    text = Writer("shop", "web1", "en").write(notice(code="finding", values={**values, "unit": "\x1b[31m"}))
    assert "{service}{0.__class__}%s\u2039!channel\u203a @\u200beveryone 'x'" in text.title
    assert "Value: {threshold} [31m; threshold: a b [31m." in text.body


def test_a_step_that_failed_is_reported_as_such() -> None:
    step = notice("action", "restart_app", severity="warning", values={"done": False}, message="pm2 does not answer.")
    assert Writer("shop", "web1", "en").write(step).title == "shop on web1: RECOVERY FAILED: restart of the service"


def test_long_texts_are_cut() -> None:
    assert len(neutral("x" * 10_000)) < 600


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["opened", "worse", "reminder", "resolved", "action", "flapping", "settled", "test"])
def test_no_place_is_left_open(language: str, kind: str) -> None:
    for code in Code:
        text = Writer("shop", "web1", language).write(notice(kind, code, since=1.0, count=4, actions=("kill_worker",)))
        assert "{" not in text.title + text.body
        assert text.body


def test_the_summary_names_the_latest_and_counts_the_others() -> None:
    text = Writer("shop", "web1", "en").sum_up(5, ["a", "b"])
    assert text.title == "shop on web1: 5 more messages"
    assert text.body.splitlines()[1:] == ["... and 3 before these", "- a", "- b"]


def test_the_summary_fits_into_the_smallest_message_of_all_channels() -> None:
    titles = [f"shop（web1）警告：诊断：磁盘./var/lib/{number}" for number in range(50)]
    text = Writer("shop", "web1", "zh").sum_up(50, titles)
    assert len(f"{text.title}\n{text.body}".encode()) < 2000
    shown = text.body.splitlines()[2:]
    assert shown[-1] == f"- {titles[-1]}"
    assert f"更早的 {50 - len(shown)} 条" in text.body.splitlines()[1]
