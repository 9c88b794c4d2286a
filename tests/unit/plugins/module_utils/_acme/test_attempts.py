# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What certbot's words say of one certificate among others. certbot itself: molecule/nginx/tests/test_acme.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme import attempts
from ansible_collections.workbot.stability.plugins.module_utils._acme.attempts import (
    last_failure,
    last_refusal,
    note_failure,
    note_order,
    note_renewal,
    renewed_path,
    why_not_renewed,
)

FRAME = "- " * 39 + "-"
# As certbot 4.0.0 writes it, shortened.
OUTPUT = f"""Saving debug log to /var/log/letsencrypt/letsencrypt.log
{FRAME}
Processing /etc/letsencrypt/renewal/other.conf
{FRAME}
Certificate not yet due for renewal
{FRAME}
Processing /etc/letsencrypt/renewal/shop.conf
{FRAME}
Renewing an existing certificate for shop.test
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: shop.test
  Detail: connection refused
Hint: The Certificate Authority failed to download the temporary challenge files.
Failed to renew certificate shop with error: Some challenges have failed.
{FRAME}
The following certificates are not due for renewal yet:
  /etc/letsencrypt/live/other/fullchain.pem expires on 2027-02-27 (skipped)
All renewals failed. The following certificates could not be renewed:
  /etc/letsencrypt/live/shop/fullchain.pem (failure)
{FRAME}
1 renew failure(s), 0 parse failure(s)
"""
PARSED = f"""{FRAME}
Processing /etc/letsencrypt/renewal/shop.conf
{FRAME}
Renewal configuration file /etc/letsencrypt/renewal/shop.conf produced an unexpected error: broken. Skipping.
{FRAME}
No renewals were attempted.
Additionally, the following renewal configurations were invalid:
  /etc/letsencrypt/renewal/shop.conf (parsefail)
{FRAME}
0 renew failure(s), 1 parse failure(s)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(attempts, "STATE", tmp_path / "state")
    return tmp_path


def test_the_authority_s_words_are_of_the_certificate_that_failed() -> None:
    said = why_not_renewed(OUTPUT, "shop", "exit-code")
    assert said.startswith("Certbot failed to authenticate some domains")
    assert "Detail: connection refused" in said
    assert said.endswith("Failed to renew certificate shop with error: Some challenges have failed.")
    assert why_not_renewed(OUTPUT, "other", "exit-code") == ""


@pytest.mark.parametrize(
    ("output", "result", "said"),
    [
        (PARSED, "exit-code", "produced an unexpected error: broken"),
        ("An unexpected error occurred:\nno space left\n", "exit-code", "no space left"),
        ("Another instance of Certbot is already running.\n", "exit-code", ""),
        ("", "oom-kill", "certbot was ended: oom-kill"),
        ("", "success", ""),
    ],
)
def test_a_run_that_came_to_nothing(output: str, result: str, said: str) -> None:
    found = why_not_renewed(output, "shop", result)
    assert said in found
    assert bool(said) == bool(found)


def test_a_renewal_ends_a_failure_and_whoever_reads_it_need_not_be_root(state: Path) -> None:
    assert last_failure("shop") is None
    note_failure("shop", "refused", "order")
    failure = last_failure("shop")
    assert failure is not None
    assert (failure.reason, failure.order) == ("refused", "order")
    assert last_refusal("shop") == failure
    assert (state / "state").stat().st_mode & 0o777 == 0o755
    assert (state / "state/shop.json").stat().st_mode & 0o777 == 0o644
    assert not renewed_path("shop").exists()
    note_renewal("shop")
    assert last_failure("shop") is None
    # what was ordered besides is still not to be ordered again
    assert last_refusal("shop") == failure
    note_order("shop")
    assert last_refusal("shop") is None
    assert renewed_path("shop").stat().st_mode & 0o777 == 0o644


def test_what_can_not_be_read_is_no_failure(state: Path) -> None:
    note_failure("shop", "refused")
    (state / "state/shop.json").write_text("[]")
    assert last_failure("shop") is None
    (state / "state/shop.json").write_text('{"time": 1}')
    assert last_failure("shop") is None
