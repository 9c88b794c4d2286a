# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of certbot's files, sound and damaged."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme import lineage
from ansible_collections.workbot.stability.plugins.module_utils._acme.lineage import (
    certificate_path,
    is_there,
    key_path,
    parse_renewal,
    read_lineage,
    renewal_path,
)
from certificates import issue

RENEWAL = """\
# renew_before_expiry = 30 days
version = 4.0.0
archive_dir = /etc/letsencrypt/archive/shop
cert = /etc/letsencrypt/live/shop/cert.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
authenticator = webroot
webroot_path = /var/www/shop-acme,
server = https://acme.test/dir
key_type = ecdsa
[[webroot_map]]
shop.test = /var/www/shop-acme
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "DIRECTORY", tmp_path)
    issued = issue("shop.test", names=["shop.test", "www.shop.test"], begins=-60, ends=30)
    for path, text in (
        (certificate_path("shop"), issued.pem),
        (key_path("shop"), issued.key_pem()),
        (renewal_path("shop"), RENEWAL),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_certificate_and_how_it_is_renewed() -> None:
    found = read_lineage("shop")
    assert found
    assert found.names == {"shop.test", "www.shop.test"}
    assert (found.server, found.webroot) == ("https://acme.test/dir", "/var/www/shop-acme")
    assert found.ends - found.begins == datetime.timedelta(days=90)
    assert found.ends - found.due == datetime.timedelta(days=21)
    assert is_there("shop")


@pytest.mark.parametrize("path", [certificate_path, key_path, renewal_path])
def test_without_one_of_its_files_it_is_none(path: object) -> None:
    assert callable(path)
    path("shop").unlink()
    assert read_lineage("shop") is None
    # without certbot's knowledge it can be served all the same
    assert is_there("shop") == (path is renewal_path)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_certificate_is_none(text: str) -> None:
    certificate_path("shop").write_text(text)
    assert read_lineage("shop") is None


def test_a_renewal_without_parameters_is_of_nobody() -> None:
    assert parse_renewal("version = 4.0.0\n") == {}
    renewal_path("shop").write_text("no renewal\n")
    assert read_lineage("shop") is None
