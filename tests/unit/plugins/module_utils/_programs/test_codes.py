# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import LANGUAGES, Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Remedy

ACTIONS = {*(remedy.value for remedy in Remedy), Code.REMOVE_SURPLUS}


@pytest.mark.parametrize("code", Code)
def test_each_code_has_a_name_in_each_language_and_advice_unless_it_is_an_action(code: Code) -> None:
    assert tuple(code.words) == LANGUAGES
    names, advice = zip(*code.words.values(), strict=True)
    assert all(names)
    assert len(set(names)) == len(LANGUAGES)
    assert any(advice) == all(advice)
    assert all(advice) != (code in ACTIONS)


@pytest.mark.parametrize("code", Code)
def test_the_languages_have_the_same_places(code: Code) -> None:
    places = [sorted(re.findall(r"{[a-z]+}", " ".join(words))) for words in code.words.values()]
    assert places[0] == places[1]


def test_a_code_is_written_and_read_as_its_value() -> None:
    assert json.dumps({"code": Code.WORKER_HUNG}) == '{"code": "worker_hung"}'
    assert f"service.{Code.WORKER_HUNG}" == "service.worker_hung"
    assert Code("worker_hung") is Code.WORKER_HUNG
