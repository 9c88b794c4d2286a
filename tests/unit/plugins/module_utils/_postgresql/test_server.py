# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared, refused and put back. That the server takes it is shown on a real one."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.units import State, Step, Unit, UnitError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import server
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.server import converge_server
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.server_state import (
    ActualServer,
    Cluster,
    DesiredServer,
    ServerError,
)

ACTUAL = ActualServer([], [], [], "", "", 100, [], {"waiting": "", "broken": ""})
DEBIAN = "# PostgreSQL\nlocal all all peer\nhost  all  all  127.0.0.1/32  scram-sha-256\n"


@dataclasses.dataclass(frozen=True)
class HereCluster(Cluster):
    """A cluster whose files are in a directory of the test."""

    root: Path = Path()

    @property
    def configuration(self) -> Path:
        return self.root

    @property
    def altered(self) -> Path:
        return self.root / "postgresql.auto.conf"

    @property
    def settings_check(self) -> list[str]:
        return []


class Host:
    """A server that answers what it is told to, one answer for each question, the last one for all that follow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: list[ActualServer | None] = [ACTUAL]
        self.done: list[str] = []
        self.broken: list[str] = []
        self.boot: list[Step] = []
        (root / "conf.d").mkdir()
        (root / "pg_hba.conf").write_text(DEBIAN)
        (root / "pg_ident.conf").write_text("# Maps\n")

    def ask(self, _desired: DesiredServer, _check_mode: bool = False) -> tuple[ActualServer | None, str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer, "" if answer else "no server listens"

    def run(self, verb: str, _unit: str, _seconds: float) -> None:
        self.done.append(verb)
        if verb in self.broken:
            self.broken.remove(verb)
            raise UnitError("failed")

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*.conf")}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    monkeypatch.setattr(server, "_ask", host.ask)
    monkeypatch.setattr(server, "read", lambda desired: host.ask(desired)[0])
    monkeypatch.setattr(server, "run_unit", host.run)
    monkeypatch.setattr(server, "_boot", lambda _cluster: host.boot)
    monkeypatch.setattr(server.units, "do", lambda step: host.done.append(step.enabling))
    monkeypatch.setattr(server, "lock", lambda *_given, **_named: nullcontext())
    monkeypatch.setattr(server, "OWNER", Path(tmp_path).owner())
    return host


def desired(host: Host, **given: Any) -> DesiredServer:
    settings = {"work_mem": "4MB", "search": "it's"}
    here = HereCluster("17", root=host.root)
    return DesiredServer(
        **{
            "name": "shop",
            "marker": "# {mark} shop",
            "cluster": here,
            "settings": settings,
            "access": "local shop shop peer",
            "identities": "shop root shop",
            "roles": ["shop"],
            "max_connections": 100,
            **given,
        }
    )


def test_a_service_is_let_in_before_all_others_and_no_longer_everybody(host: Host) -> None:
    result = converge_server(desired(host))
    assert host.done == ["reload"]
    assert result.problems == [
        f"{host.root}/{name} is not as declared" for name in ("conf.d/shop.conf", "pg_hba.conf", "pg_ident.conf")
    ]
    files = host.files()
    assert files["pg_hba.conf"] == "# BEGIN shop\nlocal shop shop peer\n# END shop\n# PostgreSQL\n"
    assert files["pg_ident.conf"] == "# Maps\n# BEGIN shop\nshop root shop\n# END shop\n"
    assert files["conf.d/shop.conf"].endswith("\nsearch = 'it''s'\nwork_mem = '4MB'\n")
    assert converge_server(desired(host)).problems == []
    assert host.done == ["reload"]


def test_debians_lines_stay_where_somebody_else_logs_in(host: Host) -> None:
    host.answers = [dataclasses.replace(ACTUAL, others=["stranger"])]
    converge_server(desired(host))
    assert host.files()["pg_hba.conf"].endswith(DEBIAN)


def test_check_mode_tells_and_changes_nothing(host: Host) -> None:
    before = host.files()
    assert len(converge_server(desired(host), check_mode=True).problems) == 3
    assert (host.files(), host.done) == (before, [])


def test_a_server_that_does_not_run_is_started_and_then_asked_who_else_logs_in(host: Host) -> None:
    host.answers = [None, ACTUAL]
    result = converge_server(desired(host))
    assert host.done == ["start", "reload"]
    assert "no server listens" in result.problems
    assert "all" not in host.files()["pg_hba.conf"]


@pytest.mark.parametrize(
    ("now", "given", "told"),
    [
        ({"waiting": "huge_pages"}, {"restart_allowed": False}, "only a restart changes huge_pages, and postgresql_"),
        ({"broken": "other: x"}, {}, "it does not understand other: x"),
    ],
)
def test_what_can_be_told_before_is_refused_before_anything_changes(
    host: Host, now: dict[str, str], given: dict[str, Any], told: str
) -> None:
    before = host.files()
    host.answers = [dataclasses.replace(ACTUAL, coming={**ACTUAL.coming, **now})]
    with pytest.raises(ServerError, match=told):
        converge_server(desired(host, **given))
    assert (host.files(), host.done) == (before, [])


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"misread": ["line 3: x"]}, "it does not understand line 3: x of its access rules: correct the file"),
        ({"broken": "work_mem: x"}, "it does not understand work_mem: x"),
        ({"max_connections": 99}, "max_connections would be 99, less than service_database_max_connections"),
    ],
)
def test_what_the_server_does_not_take_is_put_back(host: Host, now: dict[str, Any], told: str) -> None:
    before = host.files()
    host.answers = [ACTUAL, dataclasses.replace(ACTUAL, **now)]
    with pytest.raises(ServerError, match=f"{told}.*The former ones are back, and it runs"):
        converge_server(desired(host))
    assert (host.files(), host.done) == (before, ["reload", "reload"])


def test_settings_that_need_it_get_one_restart(host: Host) -> None:
    host.answers = [ACTUAL, dataclasses.replace(ACTUAL, waiting="huge_pages"), ACTUAL]
    converge_server(desired(host))
    assert host.done == ["reload", "restart"]


def test_settings_that_the_server_does_not_start_with_are_put_back(host: Host) -> None:
    before = host.files()
    host.answers = [ACTUAL, dataclasses.replace(ACTUAL, waiting="huge_pages")]
    host.broken = ["restart"]
    with pytest.raises(ServerError, match=r"start with the new settings \(huge_pages\).*The former ones are back"):
        converge_server(desired(host))
    assert (host.files(), host.done) == (before, ["reload", "restart", "restart"])


def test_settings_of_a_run_that_was_killed_are_named(host: Host) -> None:
    converge_server(desired(host))
    host.answers = [dataclasses.replace(ACTUAL, waiting="huge_pages")]
    host.broken = ["restart"]
    with pytest.raises(ServerError, match="It was so before this run: correct postgresql_settings or "):
        converge_server(desired(host))


def test_files_that_nobody_has_read_are_read(host: Host) -> None:
    converge_server(desired(host))
    host.answers = [dataclasses.replace(ACTUAL, unread=["/server.pem"]), ACTUAL]
    assert converge_server(desired(host)).problems == ["the server has not read /server.pem"]
    assert host.done == ["reload", "reload"]


def test_a_link_in_the_place_of_a_file_is_not_followed(host: Host) -> None:
    (host.root / "pg_hba.conf").unlink()
    (host.root / "pg_hba.conf").symlink_to("/etc/hostname")
    with pytest.raises(ServerError, match=r"pg_hba\.conf is a symbolic link, to /etc/hostname: put the file"):
        converge_server(desired(host))
    assert not (host.root / "conf.d" / "shop.conf").exists()


def test_what_alter_system_has_set_of_the_declared_settings_is_taken_back(host: Host) -> None:
    altered = host.root / "postgresql.auto.conf"
    altered.write_text("# Do not edit\nwork_mem = '1MB'\nSEARCH = 'it''s'\ntimezone = 'UTC'\nmax_connections = '200'\n")
    result = converge_server(desired(host, settings={"work_mem": "4MB", "search": "x", "max_connections": "100"}))
    assert "ALTER SYSTEM has set search, work_mem" in result.problems
    assert altered.read_text() == "# Do not edit\ntimezone = 'UTC'\nmax_connections = '200'\n"
    assert "200" not in "".join(change.diff()["after"] for change in result.changes if change.path == str(altered))
    altered.write_text("max_connections = '99'\nwork_mem = '1MB'\n")
    converge_server(desired(host, settings={"work_mem": "4MB", "max_connections": "100"}, alone=["work_mem"]))
    assert altered.read_text() == "work_mem = '1MB'\n", "what no other may set is refused elsewhere"


def test_lines_of_the_map_that_are_not_declared_are_removed(host: Host) -> None:
    path = host.root / "pg_ident.conf"
    path.write_text("# Maps\nshop nobody shop\nshopping a b\n")
    converge_server(desired(host))
    path.write_text(path.read_text() + '"shop"\troot postgres\nother shop shop\n')
    converge_server(desired(host))
    expected = "# Maps\nshopping a b\n# BEGIN shop\nshop root shop\n# END shop\nother shop shop\n"
    assert path.read_text() == expected


def test_a_server_that_is_not_started_at_boot_is_enabled(host: Host) -> None:
    converge_server(desired(host))
    host.done, host.boot = [], [Step(Unit("postgresql.service"), State(loaded=True, active=True), "enable")]
    result = converge_server(desired(host))
    assert result.problems == ["postgresql.service is disabled"]
    assert host.done == ["enable", "reload"]
