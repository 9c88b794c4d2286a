# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert import config as alert_config
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.channels import (
    AppriseChannel,
    identity,
    label,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.cli import main
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.config import (
    collect_all,
    load_config,
    load_secrets,
    read_copied_status,
    read_unit,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.outbox import Channel, Message
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.store import State, Store
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import read_status

SECRET = "hunter2hunter2"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    state, run = tmp_path / "state", tmp_path / "run"
    (state / "inbox").mkdir(parents=True)
    run.mkdir()
    content: dict[str, Any] = {
        "managed_by": "Ansible",
        "service": "shop",
        "language": "en",
        "repeat_interval_minutes": 0,
        "messages_per_hour": 20,
        "actions": False,
        "heartbeat_timeout": 90,
        "events": str(tmp_path / "events"),
        "status": str(tmp_path / "status.json"),
        "secrets": str(tmp_path / "secrets.json"),
        "state_directory": str(state),
        "runtime_directory": str(run),
        "unit": "shop-alert.service",
        "watched_units": ["shop-watchdog.service"],
    }
    path = tmp_path / "alert.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    secrets = {"urls": [f"json://user:{SECRET}@127.0.0.1/"], "heartbeat_url": ""}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets), encoding="utf-8")
    return path


def test_the_status_shows_the_channels_without_their_urls(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(config), ["status"]) == 0
    assert main(str(config), ["status", "--json"]) == 0
    shown = capsys.readouterr().out
    assert "channel json (1): ok, 0 waiting" in shown
    assert "the watchdog is not installed here" not in shown  # no run has looked
    assert SECRET not in shown


@pytest.mark.parametrize("there", [False, True])
def test_without_a_channel_each_command_says_so(config: Path, capsys: pytest.CaptureFixture[str], there: bool) -> None:
    """Whether the file of the URLs is there or not, as on a host that never had one."""
    secrets = config.parent / "secrets.json"
    secrets.unlink()
    if there:
        secrets.write_text('{"urls": [], "heartbeat_url": ""}', encoding="utf-8")
    sentence = "shop: no channel is set, so nothing is reported: set alerting_urls and apply the playbook\n"
    assert (main(str(config), ["status"]), capsys.readouterr().out) == (0, sentence)
    for command in ("test", "send"):
        assert (main(str(config), [command]), capsys.readouterr().err) == (1, sentence)
    assert main(str(config), ["status", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["channels"], report["watchdog_installed"]) == ([], None)


def test_with_a_heartbeat_alone_the_status_says_that_nothing_is_reported(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = {"urls": [], "heartbeat_url": f"https://h.example/{SECRET}"}
    (config.parent / "secrets.json").write_text(json.dumps(secrets), encoding="utf-8")
    assert main(str(config), ["test"]) == 1
    assert main(str(config), ["send"]) == 0
    assert main(str(config), ["status"]) == 0
    shown = capsys.readouterr().out
    assert "no channel is set, so nothing is reported" in shown
    assert SECRET not in shown


def test_the_status_says_what_became_of_each_channel(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = State(ran=1.0)
    [url] = load_secrets(load_config(config).secrets).urls
    state.outbox.channels[identity(url)] = Channel(tries=3, error="refused: 403 Forbidden")
    Store([load_config(config).state_directory]).save(state)
    assert main(str(config), ["status"]) == 1
    assert "channel json (1): refused: 403 Forbidden (tries: 3), 0 waiting" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{", "[]", '{"service": "shop"}'])
def test_a_damaged_configuration_is_named(content: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(content, encoding="utf-8")
    assert main(str(config), ["status"]) == 1
    assert str(config) in capsys.readouterr().err


def test_damaged_secrets_are_not_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "secrets.json").write_text(f'{{"urls": ["{SECRET}"', encoding="utf-8")
    assert main(str(config), ["status"]) == 1
    error = capsys.readouterr().err
    assert "secrets.json is damaged" in error
    assert SECRET not in error


def test_urls_to_check_that_are_no_list_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
    assert main("", ["check"]) == 1
    error = capsys.readouterr().err
    assert "no JSON list" in error
    assert SECRET not in error


def test_a_link_in_place_of_the_unit_s_file_changes_nobody_s_file(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.touch(mode=0o600)
    monkeypatch.setattr(
        alert_config, "unit_states", lambda names, _seconds: {name: {"LoadState": "loaded"} for name in names}
    )
    collect_all(load_config(config))
    unit_file = load_config(config).unit_file
    assert unit_file.stat().st_mode & 0o777 == 0o644
    unit_file.unlink()
    unit_file.symlink_to(other)
    # its owner puts the link there again at the worst moment
    monkeypatch.setattr(Path, "replace", lambda _self, _target: None)
    collect_all(load_config(config))
    assert other.stat().st_mode & 0o777 == 0o600


def test_a_url_that_apprise_breaks_on_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Apprise 1.9.2 does, by urllib: ValueError("'...' does not appear to be an IPv4 or IPv6 address")."""

    class Apprise:
        def __init__(self, **_options: object) -> None: ...

        def add(self, url: str) -> bool:
            raise ValueError(f"{url!r} does not appear to be an IPv4 or IPv6 address")

    module = SimpleNamespace(Apprise=Apprise, AppriseAsset=dict, __version__="1.9.2", __spec__="")
    monkeypatch.setitem(sys.modules, "apprise", module)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([f"discord://{SECRET}/2", f"slack://{SECRET}/B"])))
    assert main("", ["check"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "discord (1): Apprise can't take such a URL apart: percent-encode the special characters in it;"
    )
    assert "; slack (2): Apprise can't take" in error
    assert SECRET not in error
    error = AppriseChannel(f"json://[{SECRET}]/", 1).send(Message(1.0, "info", "title", "body", []))
    assert error.startswith("Apprise can't")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("slck://", "slck (1): Apprise 1.9.2 of this host knows no slck://; did you mean slack://?"),
        ("qqqqqqq://", "qqqqqqq (1): Apprise 1.9.2 of this host knows no qqqqqqq://"),
        ("slack://", "slack (1): Apprise 1.9.2 of this host finds a part of a slack:// URL missing or wrong"),
        ("https://", "https (1): Apprise 1.9.2 of this host knows no such address; a webhook is jsons://HOST/PATH"),
        ("", "URL (1): expected an Apprise URL of the form kind://"),
    ],
)
def test_what_apprise_does_not_take_is_told_by_its_own_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, said: str
) -> None:
    class Apprise:
        def __init__(self, **_options: object) -> None: ...

        def add(self, _url: str) -> bool:
            return False

        def details(self) -> object:
            return {"schemas": [{"protocols": None, "secure_protocols": ("slack",)}]}

    module = SimpleNamespace(Apprise=Apprise, AppriseAsset=dict, __version__="1.9.2", __spec__="")
    monkeypatch.setitem(sys.modules, "apprise", module)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([f"{kind}{SECRET}"])))
    assert main("", ["check"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert SECRET not in error


@pytest.mark.parametrize("content", [None, b'{"state": "healthy"}', b"{" * 100_000, b'{"state": "\xff"}'])
def test_the_copy_of_the_watchdog_s_status_is_as_old_as_the_status(config: Path, content: bytes | None) -> None:
    settings = load_config(config)
    if content is None:
        # nothing waits for whoever writes to it
        os.mkfifo(settings.status)
    else:
        settings.status.write_bytes(content)
        os.utime(settings.status, ns=(5, 7))
    collect_all(settings)
    assert read_copied_status(settings) == read_status(settings.status)
    assert settings.status_copy.stat().st_mode & 0o777 == 0o644
    settings.status.unlink()
    collect_all(settings)
    assert read_copied_status(settings) == (0, {})


def test_before_the_watchdog_has_run_there_is_nothing_to_collect(config: Path) -> None:
    settings = load_config(config)
    assert collect_all(settings) == 0
    assert not read_unit(settings).installed


def test_a_channel_is_known_by_its_url_and_shown_by_its_kind() -> None:
    first, second = "slack://a/b/c", "slack://a/b/d"
    assert identity(first) == identity(first) != identity(second)
    assert label(first, 2) == "slack (2)"
    assert label(SECRET, 3) == label(f"{SECRET}/x", 3) == "URL (3)"


@pytest.mark.parametrize(
    ("prometheus", "alertmanager", "explains"),
    [
        (("active", "success"), ("active", "success"), ("active", False)),
        (("active", "success"), ("inactive", "success"), ("inactive", True)),
        (("inactive", "success"), ("failed", "signal"), ("failed", False)),
        (("failed", "oom-kill"), ("inactive", "success"), ("failed", False)),
    ],
)
def test_of_several_units_the_one_that_is_dead_explains_a_silence(
    config: Path, prometheus: tuple[str, str], alertmanager: tuple[str, str], explains: tuple[str, bool]
) -> None:
    settings = load_config(config)
    states = [
        {"LoadState": "loaded", "ActiveState": active, "Result": result}
        for active, result in (prometheus, alertmanager)
    ]
    settings.unit_file.write_text(json.dumps(states), encoding="utf-8")
    assert (read_unit(settings).active, read_unit(settings).stopped) == explains
