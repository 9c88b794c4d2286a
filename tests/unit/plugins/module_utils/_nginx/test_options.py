# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's options as a desired site."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Entry
from ansible_collections.workbot.stability.plugins.module_utils._nginx.ledger import Shared
from ansible_collections.workbot.stability.plugins.module_utils._nginx.options import argument_spec, desired
from ansible_collections.workbot.stability.plugins.module_utils._nginx.plan import Desired
from ansible_collections.workbot.stability.plugins.module_utils._nginx.probe import Probe


def given(**options: Any) -> Desired:
    result = ArgumentSpecValidator(argument_spec()).validate({"name": "shop", **options})
    assert result.error_messages == []
    return desired(result.validated_parameters)


def probe(**options: Any) -> Probe:
    (found,) = given(probes=[options]).probes
    return found


def test_nothing_but_a_name_is_no_change() -> None:
    assert not given().changes_something()


def test_files_of_all_kinds() -> None:
    found = given(
        files=[{"path": "a", "content": "1", "mode": "0640"}],
        secret_files={"b": "2"},
        shared_files=[{"path": "c", "content": "3", "version": 2}],
    )
    assert found.files == {"a": Entry(b"1", 0o640), "b": Entry(b"2", 0o600)}
    assert [entry.secret for entry in found.files.values()] == [False, True]
    assert found.shared == {"c": Shared(Entry(b"3"), 2)}


def test_a_path_that_is_there_twice_is_refused() -> None:
    with pytest.raises(StabilityError, match="a is there twice"):
        given(files=[{"path": "a", "content": "1"}], secret_files={"a": "2"})


def test_a_mode_of_other_digits_is_refused() -> None:
    with pytest.raises(StabilityError, match="a: the mode '0o9' is not of octal digits"):
        given(files=[{"path": "a", "content": "1", "mode": "0o9"}])


def test_limits_that_are_nothing_are_left_out() -> None:
    limits = {"worker_rlimit_nofile": 0, "worker_shutdown_timeout": ""}
    assert given(worker_limits=limits).worker_limits == {}
    assert given(worker_limits={"worker_rlimit_nofile": 1}).worker_limits == {"worker_rlimit_nofile": "1"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "http://shop.test/a"}, Probe("shop.test", 80, "shop.test", "/a")),
        ({"url": "https://shop.test/", "address": "127.0.0.1"}, Probe("127.0.0.1", 443, "shop.test", "/", tls=True)),
        ({"port": 8080, "path": "/x"}, Probe("127.0.0.1", 8080, "127.0.0.1", "/x")),
        ({"host": "shop.test", "scheme": "https"}, Probe("127.0.0.1", 443, "shop.test", "/", tls=True)),
        ({"address": "::1", "tls": True, "port": 8443}, Probe("::1", 8443, "::1", "/", tls=True)),
        ({"expect_status": [200, 301]}, Probe("127.0.0.1", 80, "127.0.0.1", expect_status=(200, 301))),
    ],
)
def test_a_probe_is_by_url_or_by_its_parts(options: dict[str, Any], expected: Probe) -> None:
    assert probe(**options) == expected
