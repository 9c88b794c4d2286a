# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name that another site has on the same port is found before anything changes, with that site's name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nginx import server_names
from ansible_collections.workbot.stability.plugins.module_utils._nginx.apply import Result, apply
from ansible_collections.workbot.stability.plugins.module_utils._nginx.ledger import Record, Trace
from ansible_collections.workbot.stability.plugins.module_utils._nginx.plan import Desired
from ansible_collections.workbot.stability.plugins.module_utils._nginx.server_names import served_names
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout

KIOSK = """\
# Ansible managed
include services/kiosk/http.conf;
upstream kiosk { server unix:/srv/kiosk/active.sock; }
server {
    listen 80;
    listen [::]:80;
    server_name kiosk.test Shop.Test;
    set $a "}"; # server_name commented.test;
    if ($a = "${b}") { return 400; }
    location ~ "^/a{1,2}" { return 204; }
}
server {
    listen 443 ssl;
    server_name kiosk.test;
}
"""
SHOP = Desired("shop", ports=[80, 443], server_names=["shop.test"])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A host with the service kiosk."""
    layout = Layout(config=tmp_path / "etc", state=tmp_path / "state", binary=tmp_path / "none")
    monkeypatch.setattr("ansible_collections.workbot.stability.plugins.module_utils._nginx.apply.check_ports", id)
    for directory in ("conf.d", "sites-enabled"):
        (layout.config / directory).mkdir(parents=True)
    layout.state.mkdir()
    (layout.config / "nginx.conf").write_text("http { include /etc/nginx/conf.d/*.conf; }\n")
    (layout.config / "conf.d/kiosk.conf").write_text(KIOSK)
    (layout.state / "kiosk.json").write_bytes(Record({"conf.d/kiosk.conf": Trace("0", 0o644)}).pack())
    return layout


def refused(layout: Layout, desired: Desired) -> str:
    with pytest.raises(StabilityError) as error:
        apply(desired, layout, check=False)
    assert str(error.value).endswith("Nothing was changed.")
    return str(error.value)


def test_another_services_name_is_told_with_that_service(host: Layout) -> None:
    text = refused(host, SHOP)
    file = host.config / "conf.d/kiosk.conf"
    assert text.startswith(f"nginx_server_names: shop.test on port 80 is served by the service kiosk ({file}) already.")
    assert "443" not in text
    assert apply(dataclasses.replace(SHOP, ports=[8080]), host, check=False) == Result()
    assert apply(dataclasses.replace(SHOP, server_names=["shop2.test", "_"]), host, check=False) == Result()


def test_a_foreign_file_is_told_by_its_path_unless_the_site_takes_its_place(host: Layout) -> None:
    old = host.config / "sites-enabled/old"
    old.write_text("server { server_name www.test .shop.example; listen *:80 default_server; }")
    assert f"every other name (_) on port 80 is served by {old} already." in refused(
        host, dataclasses.replace(SHOP, server_names=["_", "a.test"])
    )
    for name in ("WWW.test", "shop.example", "*.shop.example"):
        assert f"is served by {old} already" in refused(host, dataclasses.replace(SHOP, server_names=[name]))
    superseded = dataclasses.replace(SHOP, server_names=["www.test"], absent=["sites-enabled/old"])
    assert apply(superseded, host, check=False) == Result()


def test_what_the_site_serves_already_is_not_asked_for_again(host: Layout) -> None:
    (host.config / "conf.d/shop.conf").write_text("server { listen 80; server_name shop.test; }")
    (host.state / "shop.json").write_bytes(Record({"conf.d/shop.conf": Trace("0", 0o644)}).pack())
    assert apply(dataclasses.replace(SHOP, ports=[80]), host, check=False) == Result()
    assert "kiosk.test" in refused(host, dataclasses.replace(SHOP, server_names=["shop.test", "kiosk.test"]))


def test_debians_default_site_goes_as_long_as_nobody_changed_it(host: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.config / "sites-enabled/default").write_text("server { listen 80 default_server; server_name _; }")
    every = dataclasses.replace(SHOP, server_names=["_"], ports=[80])
    assert "sites-enabled/default already" in refused(host, every)
    monkeypatch.setattr(server_names, "default_site_is_untouched", lambda _config: True)
    assert apply(every, host, check=False) == Result()


def test_a_bare_host_and_what_is_no_file_have_no_names(tmp_path: Path, host: Layout) -> None:
    assert apply(SHOP, dataclasses.replace(host, config=tmp_path / "nowhere"), check=True) == Result()
    (host.config / "conf.d/kiosk.conf").unlink()
    (host.config / "conf.d/dangling.conf").symlink_to("nowhere")
    (host.config / "conf.d/directory.conf").mkdir()
    assert apply(SHOP, host, check=True) == Result()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (KIOSK, {(80, "kiosk.test"), (80, "shop.test"), (443, "kiosk.test")}),
        ("http { server { server_name a; } }", {(80, "a")}),
        ("stream { server { listen 80; server_name a; } }", set()),
        ("server { listen 127.0.0.1:80; listen unix:/run/a.sock; listen [::]:80; server_name a; }", set()),
        ("server { listen 0.0.0.0:81 default_server; listen 82; }", {(81, "_")}),
        ("server { server_name 'a' \"b\"\n c; listen 80 }", {(80, "a"), (80, "b"), (80, "c")}),
        ("} server { listen 80; server_name a", set()),
    ],
)
def test_names_are_those_of_servers_on_all_addresses(text: str, found: set[tuple[int, str]]) -> None:
    assert set(served_names(text)) == found
