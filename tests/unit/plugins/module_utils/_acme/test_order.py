# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a certificate is ordered, and when no authority is asked. certbot itself: molecule/nginx/tests/test_acme.py."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme import attempts, lineage, order
from ansible_collections.workbot.stability.plugins.module_utils._acme.lineage import Lineage
from ansible_collections.workbot.stability.plugins.module_utils._acme.order import Desired, converge, remove
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError

NOW = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
SHOP = Desired("shop", ["shop.test"], "ops@shop.test", "https://acme.test/dir", "/var/www/shop-acme")
FOUND = Lineage(frozenset({"shop.test"}), NOW - DAY, NOW + 89 * DAY, "https://acme.test/dir", "/var/www/shop-acme")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lineage, "DIRECTORY", tmp_path / "letsencrypt")
    monkeypatch.setattr(attempts, "STATE", tmp_path)
    monkeypatch.setattr(order, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(order, "challenge_problems", lambda *_arguments: [])
    return tmp_path


def certbot(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = directory / "certbot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(order, "PROGRAM", program)


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (FOUND, []),
        (None, ["there is none"]),
        (replace(FOUND, names=frozenset()), ["it is not for shop.test"]),
        (replace(FOUND, names=frozenset({"shop.test", "old.test"})), ["it is also for old.test"]),
        (replace(FOUND, server="https://other.test/dir"), ["it is of https://other.test/dir"]),
        (replace(FOUND, webroot=""), ["it is renewed by other means"]),
        (
            replace(FOUND, begins=NOW - 70 * DAY, ends=NOW + 20 * DAY),
            ["it ends on 2026-12-19, and no timer has renewed it"],
        ),
        (replace(FOUND, begins=NOW - 68 * DAY, ends=NOW + 22 * DAY), []),
    ],
)
def test_why_a_certificate_is_ordered(found: Lineage | None, reasons: list[str]) -> None:
    assert SHOP.differences(found, NOW) == reasons


def test_upper_case_is_the_same_name() -> None:
    assert replace(SHOP, names=["Shop.test"]).differences(FOUND, NOW) == []


def test_what_certbot_could_not_keep_is_not_ordered(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "touch $(dirname $0)/calls")
    remains = lineage.archive_path("shop")
    remains.mkdir(parents=True)
    with pytest.raises(StabilityError, match=f"{remains} is there, and certbot knows nothing of it"):
        converge(SHOP, check=False, insist=True)
    assert not (state / "calls").exists()


def test_a_certificate_of_somebody_else_is_not_removed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "touch $(dirname $0)/calls")
    hook, directory = lineage.hook_path("shop"), lineage.archive_path("shop")
    for path in (hook.parent, directory):
        path.mkdir(parents=True)
    hook.write_text("#!/bin/sh\n")
    assert not remove("shop", check=False)
    assert directory.exists()
    hook.write_text("#!/usr/bin/python3\nfrom stability._programs.certificate import run\n")
    assert remove("shop", check=True)
    assert directory.exists()
    assert remove("shop", check=False)
    assert not directory.exists()
    assert not hook.exists()
    assert not remove("shop", check=False)
    assert not (state / "calls").exists()


def test_what_was_revoked_before_a_run_was_killed_is_not_revoked_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, certificate = lineage.hook_path("shop"), lineage.certificate_path("shop")
    for path in (hook, certificate):
        path.parent.mkdir(parents=True)
        path.write_text("from stability._programs.certificate import run\n")
    certbot(state, monkeypatch, "exit 1")
    with pytest.raises(StabilityError, match=r"can't be revoked: certbot or .*/renewal/shop.conf is missing"):
        remove("shop", check=False, revoke=True)
    lineage.renewal_path("shop").parent.mkdir()
    lineage.renewal_path("shop").touch()
    certbot(state, monkeypatch, 'case "$2" in revoke) echo no such authority; exit 1;; esac')
    with pytest.raises(StabilityError, match="no such authority"):
        remove("shop", check=False, revoke=True)
    assert certificate.exists()
    certbot(state, monkeypatch, 'case "$2" in revoke) echo error:alreadyRevoked; exit 1;; esac')
    assert remove("shop", check=False, revoke=True)
    assert not certificate.exists()


def test_who_insists_has_nothing_written_where_a_link_leads(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "touch $(dirname $0)/calls")
    webroot = state / "webroot"
    webroot.symlink_to(state)
    with pytest.raises(StabilityError, match="is no place for challenges"):
        converge(replace(SHOP, webroot=str(webroot)), check=False, insist=True)
    assert not (state / "calls").exists()


def test_what_the_authority_refused_is_said_and_not_ordered_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = replace(SHOP, eab_kid="customer", eab_hmac_key="c2VjcmV0LWtleQ", webroot=str(state))
    said = "echo Saving debug log to x; echo x >> $(dirname $0)/calls; echo Detail: too many of c2VjcmV0LWtleQ; exit 1"
    certbot(state, monkeypatch, said)
    for expected in (
        "Detail: too many of .*\nThe same is not ordered again within an hour",
        "not ordered again before",
    ):
        with pytest.raises(StabilityError, match=expected) as caught:
            converge(secret, check=False, insist=False)
        assert "c2VjcmV0LWtleQ" not in str(caught.value)
        assert "debug log" not in str(caught.value)
    assert "c2VjcmV0LWtleQ" not in (state / "shop.json").read_text()
    assert (state / "calls").read_text() == "x\n"
    with pytest.raises(StabilityError, match="within an hour"):
        converge(secret, check=False, insist=True)
    with pytest.raises(StabilityError, match="within an hour"):
        converge(replace(secret, eab_hmac_key="b3RoZXI"), check=False, insist=False)
    assert (state / "calls").read_text() == "x\n" * 3


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('Account "https://acme.test/acct/1" not found', "move .*/accounts/acme.test/dir away"),
        ('Account is not valid, has status "deactivated"', "move .*/accounts/acme.test/dir away"),
        ("certificate verify failed: certificate is not yet valid", "Is this host's clock right"),
    ],
)
def test_what_to_do_is_said_where_the_reason_does_not_tell(
    state: Path, monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    certbot(state, monkeypatch, f"echo '{said}'; exit 1")
    with pytest.raises(StabilityError, match=advice):
        converge(SHOP, check=False, insist=False)


def test_a_host_that_is_seen_to_be_gone_needs_no_pause(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "echo x >> $(dirname $0)/calls; echo Detail: no route to host; exit 1")
    seen: list[list[str]] = [[], ["192.0.2.1 does not answer"], ["192.0.2.1 does not answer"], [], []]
    monkeypatch.setattr(order, "challenge_problems", lambda *_arguments: seen.pop(0))
    for expected in (
        "Detail: no route to host\n192.0.2.1 does not answer$",
        "none was asked:\n192.0.2.1 does not answer$",
        "Detail: no route to host\nThe same is not ordered again within an hour",
        "not ordered again before",
    ):
        with pytest.raises(StabilityError, match=expected):
            converge(SHOP, check=False, insist=False)
    assert (state / "calls").read_text() == "x\n" * 2


def test_what_certbot_of_debian_12_fails_at_is_in_its_log(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = state / "letsencrypt.log"
    log.write_text(
        "Traceback:\nacme.messages.Error: urn:ietf:params:acme:error:rateLimited :: Too many :: of shop.test\n\n"
        "During handling of the above exception, another exception occurred:\nAttributeError: can't set attribute\n"
    )
    monkeypatch.setattr(order, "_LOG", log)
    certbot(
        state, monkeypatch, """echo An unexpected error occurred:; echo "AttributeError: can't set attribute"; exit 1"""
    )
    for expected in ("error:rateLimited :: Too many :: of shop.test\nThe same", "can't set attribute\nThe same"):
        with pytest.raises(StabilityError, match=expected):
            converge(replace(SHOP, webroot=str(state)), check=False, insist=True)
        log.unlink(missing_ok=True)


@pytest.mark.parametrize("age", [3601.0, -3600.0])
def test_an_order_that_failed_long_ago_or_in_the_future_stands_in_no_way(
    state: Path, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    certbot(state, monkeypatch, "echo Detail: again; exit 1")
    (state / "shop.json").write_text(
        json.dumps({"time": time.time() - age, "reason": "old", "order": SHOP.fingerprint})
    )
    with pytest.raises(StabilityError, match="Detail: again"):
        converge(SHOP, check=False, insist=False)


def test_check_mode_asks_nobody(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "touch $(dirname $0)/calls")
    (state / "shop.refused.json").write_text(
        json.dumps({"time": time.time(), "reason": "old", "order": SHOP.fingerprint})
    )
    assert converge(SHOP, check=True, insist=False) == ["there is none"]
    assert not (state / "calls").exists()


def test_a_certbot_that_is_busy_is_waited_for(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = "$(dirname $0)/calls"
    said = "echo Another instance of Certbot is already running."
    certbot(state, monkeypatch, f"[ -e {calls} ] || {{ touch {calls}; {said}; exit 1; }}")
    monkeypatch.setattr(order, "_BUSY_PAUSE", 0.01)
    with pytest.raises(StabilityError, match="but it is not there"):
        converge(SHOP, check=False, insist=False)


def test_a_certbot_that_stays_busy_has_asked_nobody(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot(state, monkeypatch, "echo Another instance of Certbot is already running.; exit 1")
    monkeypatch.setattr(order, "_BUSY_SECONDS", 0)
    for _run in range(2):
        with pytest.raises(StabilityError, match=r"already running.\ncertbot has asked nobody"):
            converge(SHOP, check=False, insist=False)


def test_what_another_run_has_ordered_meanwhile_is_not_ordered_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certbot(state, monkeypatch, "touch $(dirname $0)/calls")
    now = datetime.datetime.now(datetime.UTC)
    ordered = replace(FOUND, begins=now, ends=now + 90 * DAY)
    lineages = iter([None, ordered])
    monkeypatch.setattr(order, "read_lineage", lambda _name: next(lineages))
    assert converge(SHOP, check=False, insist=False) == []
    assert not (state / "calls").exists()


def test_the_account_s_key_is_in_no_argument(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = 'echo "$@" > $(dirname $0)/arguments; cat "$3" > $(dirname $0)/binding; stat -c %a "$3" > $(dirname $0)/mode'
    certbot(state, monkeypatch, keep)
    with pytest.raises(StabilityError, match="is not there"):
        converge(replace(SHOP, eab_kid="customer", eab_hmac_key="c2VjcmV0"), check=False, insist=False)
    assert "c2VjcmV0" not in (state / "arguments").read_text()
    assert (state / "binding").read_text() == "eab-kid = customer\neab-hmac-key = c2VjcmV0\n"
    assert (state / "mode").read_text() == "600\n"
