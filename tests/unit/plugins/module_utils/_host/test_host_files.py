# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A concern as a whole, on the real file system; what systemd is asked is told from what it answered."""

from __future__ import annotations

import base64
import errno
import grp
import hashlib
import math
import os
import pwd
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import heuristic_log_sanitize
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workbot.stability.plugins.action.host_files import ActionModule
from ansible_collections.workbot.stability.plugins.module_utils._host import files as _files
from ansible_collections.workbot.stability.plugins.module_utils._host import trust_store, units
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Entry
from ansible_collections.workbot.stability.plugins.module_utils._host.host_files import Plan, apply, plan, unit_names
from ansible_collections.workbot.stability.plugins.module_utils._host.units import State, Unit, parse, steps, written
from ansible_collections.workbot.stability.plugins.modules.host_files import SPEC

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
OWN = {"owner": USER, "group": GROUP}
PROGRAM = b"\x00\x01 program"
RUNS, STOPPED = State(True, True, True), State(True)


def options(**given: Any) -> dict[str, Any]:
    """As the host's half takes them; the controller's half sends content in base64."""
    for file in given.get("files", []):
        if "content" in file:
            file["sent"] = sent(file.pop("content").encode())
    checked = ArgumentSpecValidator(SPEC).validate(given)
    assert checked.error_messages == []
    parameters: dict[str, Any] = checked.validated_parameters
    return parameters


def sent(content: bytes) -> str:
    return base64.b64encode(content).decode()


def run(**given: Any) -> Plan:
    made = plan(options(**given))
    apply(made)
    return made


def test_all_is_made_then_nothing_is(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {
        "directories": [{"path": str(tmp_path / "d"), "mode": "0750", **OWN}],
        "files": [
            {"path": str(tmp_path / "d/text"), "content": "a\n", "mode": "640", **OWN},
            {"path": str(tmp_path / "d/key"), "sent": sent(b"hush"), "secret": True, "mode": "0600", **OWN},
        ],
    }
    first = run(**wanted)
    assert first.paths == [str(tmp_path / name) for name in ("d", "d/text", "d/key")]
    assert (tmp_path / "d/text").read_text() == "a\n"
    assert (tmp_path / "d/text").stat().st_mode & 0o777 == 0o640
    assert "hush" not in str(first.diff())
    inode = (tmp_path / "d/text").stat().st_ino
    second = run(**wanted)
    assert (second.changed, second.paths, second.states, second.diff()) == (False, [], {}, [])
    assert (tmp_path / "d/text").stat().st_ino == inode


def test_that_systemd_reads_what_it_has_not_read_is_a_change() -> None:
    made = Plan((), (), (), (), (), {"web.service": replace(RUNS, outdated=True), "other.service": RUNS}, ())
    assert made.changed
    assert made.diff() == [{"before": "", "after": "read by systemd: web.service\n"}]


def test_what_the_host_logs_of_a_call_shows_no_content() -> None:
    """As AnsibleModule writes it to the host's journal: a representation, in which line ends are two signs."""
    action = ActionModule.__new__(ActionModule)
    file = action._prepared({"path": "/x", "content": "A=1\nTOKEN=hush\n", "secret": True})
    checked = ArgumentSpecValidator(SPEC).validate({"files": [file]})
    logged = heuristic_log_sanitize(str(checked.validated_parameters["files"]), checked._no_log_values)
    assert "/x" in logged
    assert not [text for text in ("hush", file["sent"]) if text in logged]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_in_a_directory_is_handed_over(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    os.chown(tmp_path / "log", pwd.getpwnam("daemon").pw_uid, -1)
    mode = f"{tmp_path.stat().st_mode & 0o777:04o}"
    wanted = {"directories": [{"path": str(tmp_path), "mode": mode, "contents": True, **OWN}]}
    first = run(**wanted)
    assert f"{tmp_path}/log {USER}" in first.diff()[0]["after"]
    assert (tmp_path / "log").owner() == USER
    assert not run(**wanted).changed


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    assert run(files=[{"path": str(tmp_path / "file"), "content": "ours", **OWN}]).changed
    assert (tmp_path / "target").read_text() == "theirs"
    assert not (tmp_path / "file").is_symlink()


def test_a_full_disk_has_everything_put_back_that_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that failed holds what it held: it is replaced at once or not at all."""
    names = ("a", "b", "c")
    for name in names:
        (tmp_path / name).write_text("old")

    def put(path: str, entry: Entry | None) -> None:
        assert entry is not None
        assert entry.content is not None
        if (Path(path).name, entry.content) in [("c", b"new"), ("b", b"old")]:
            raise OSError(errno.ENOSPC, "No space left on device")
        Path(path).write_bytes(entry.content)

    monkeypatch.setattr(_files, "put", put)
    with pytest.raises(StabilityError) as failed:
        run(files=[{"path": str(tmp_path / name), "content": "new", **OWN} for name in names])
    assert str(failed.value).splitlines() == [
        f"{tmp_path}/c: No space left on device",
        f"{tmp_path}/b could not be put back: No space left on device",
    ]
    assert [(tmp_path / name).read_text() for name in names] == ["old", "new", "old"]


def test_a_directory_in_the_place_of_a_file_is_refused_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    files = [{"path": str(tmp_path / name), "content": "x", **OWN} for name in ("first", "second")]
    with pytest.raises(StabilityError, match="neither a file nor a link"):
        run(files=files)
    assert not (tmp_path / "first").exists()


def test_what_fails_in_the_middle_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("old")
    files = [{"path": str(tmp_path / name), "content": "new", **OWN} for name in ("first", "no/directory")]
    with pytest.raises(StabilityError, match="No such file or directory"):
        run(files=files)
    assert (tmp_path / "first").read_text() == "old"


def test_a_link_that_was_replaced_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("/nowhere")
    files = [{"path": str(tmp_path / name), "content": "new", **OWN} for name in ("first", "no/directory")]
    with pytest.raises(StabilityError, match="No such file or directory"):
        run(files=files)
    assert (tmp_path / "first").readlink() == Path("/nowhere")


def test_an_unknown_owner_is_named_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="no-such-user"):
        run(files=[{"path": str(tmp_path / "file"), "content": "x", "owner": "no-such-user"}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "refused"), [("good\n", False), ("bad\n", True)])
def test_a_file_is_checked_before_it_counts(tmp_path: Path, content: str, refused: bool) -> None:
    path = tmp_path / "file"
    file = {"path": str(path), "content": content, "check": ["grep", "-q", "good", "%s"], **OWN}
    if refused:
        with pytest.raises(StabilityError, match="grep refuses it; nothing was changed"):
            run(files=[file])
    else:
        run(files=[file])
    assert path.exists() is not refused


def test_a_program_is_compared_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "program"
    file = {"path": str(path), "mode": "0755", **OWN}
    digest = {**file, "sha256": hashlib.sha256(PROGRAM).hexdigest()}
    assert plan(options(files=[digest])).changed
    path.write_bytes(b"an older one")
    assert plan(options(files=[digest])).changed
    run(files=[{**file, "sent": sent(PROGRAM)}])
    assert not plan(options(files=[digest])).changed
    path.chmod(0o600)
    assert plan(options(files=[digest])).changed
    run(files=[{**file, "sent": sent(PROGRAM)}])
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o777 == 0o755


def test_what_is_removed_may_be_a_directory_and_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/nowhere")
    paths = [str(tmp_path / name) for name in ("d", "link", "never")]
    assert run(removed=paths).paths == paths[:2]
    assert list(tmp_path.iterdir()) == []
    assert not run(removed=paths).changed


def test_an_account_that_is_there_is_no_change() -> None:
    entry = pwd.getpwnam("nobody")
    group = grp.getgrgid(entry.pw_gid).gr_name
    wanted = {"name": "nobody", "group": group, "home": entry.pw_dir, "comment": entry.pw_gecos}
    assert plan(options(accounts=[wanted])).changed is (entry.pw_shell != "/usr/sbin/nologin")
    assert plan(options(accounts=[{**wanted, "home": "/elsewhere"}])).changed


# systemctl 257 show --property=Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload nginx.service nope.service
LISTING = """Id=nginx.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=yes
ActiveEnterTimestampMonotonic=2500000
StateChangeTimestampMonotonic=3500000

Id=nope.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
NeedDaemonReload=no
"""


def test_states_are_told_apart() -> None:
    assert parse(LISTING, 1000) == [State(True, True, True, True, 1002.5, 1003.5), State()]


@pytest.mark.parametrize(
    ("unit", "state", "changed", "due"),
    [
        (Unit("a"), RUNS, [], None),
        (Unit("a"), State(), [], ("enable", "start")),
        (Unit("a"), STOPPED, ["/f"], ("enable", "start")),
        (Unit("a", restart_for=["/f"]), RUNS, ["/f"], ("", "restart")),
        (Unit("a", restart_for=["/f"]), RUNS, ["/g"], None),
        (Unit("a", restart_for=["/f"], reload_for=["/g"]), RUNS, ["/g"], ("", "reload")),
        (Unit("a", restart_for=["/f"], reload_for=["/g"]), RUNS, ["/g", "/f"], ("", "restart")),
        (Unit("a", reload_for=["/g"]), replace(RUNS, starting=True), ["/g"], ("", "restart")),
        (Unit("a", reload_for=["/g"]), STOPPED, ["/g"], ("enable", "start")),
        (Unit("a", enabled=False, started=False), RUNS, [], ("disable", "stop")),
        (Unit("a", enabled=False, started=False), State(), [], None),
    ],
)
def test_only_what_is_due_is_done(unit: Unit, state: State, changed: list[str], due: tuple[str, str] | None) -> None:
    found = [(step.enabling, step.verb) for step in steps([unit], {"a": state}, changed, {})]
    assert found == ([due] if due else [])


@pytest.mark.parametrize(("since", "due"), [(99.0, ["restart"]), (101.0, []), (math.inf, [])])
def test_a_unit_that_runs_from_an_older_file_is_restarted(since: float, due: list[str]) -> None:
    state = State(True, True, True, since=since)
    found = steps([Unit("a", restart_for=["/f"]), Unit("b")], {"a": state, "b": state}, [], {"/f": 100.0})
    assert [step.verb for step in found] == due


@pytest.mark.parametrize(("read", "due"), [(99.0, ["reload"]), (101.0, [])])
def test_a_unit_that_has_read_an_older_file_is_reloaded_whenever_it_was_started(read: float, due: list[str]) -> None:
    state = State(True, True, True, since=50.0, read=read)
    assert [step.verb for step in steps([Unit("a", reload_for=["/f"])], {"a": state}, [], {"/f": 100.0})] == due


def test_systemd_is_asked_about_units_of_which_only_the_file_is_installed() -> None:
    paths = ["alert.service", "act@.service", "nginx.service.d/more.conf", "db@.service.d/a.conf", "alert.timer"]
    asked = unit_names([Unit("alert.timer")], [f"/etc/systemd/system/{path}" for path in paths])
    assert asked == ["alert.timer", "alert.service", "nginx.service"]


def test_a_file_from_the_time_to_come_restarts_nothing(tmp_path: Path) -> None:
    past, coming = tmp_path / "past", tmp_path / "coming"
    for path, shift in ((past, -60), (coming, 60)):
        path.touch()
        os.utime(path, (time.time() + shift,) * 2)
    unit = Unit("a", restart_for=[str(past), str(tmp_path / "missing")], reload_for=[str(coming)])
    assert written([unit]).keys() == {str(past)}


def test_a_unit_that_does_not_start_gets_its_files_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd is the host's part; here it only refuses."""
    path = tmp_path / "file"
    path.write_text("old")
    asked: list[tuple[str, ...]] = []

    def systemctl(*arguments: str, seconds: float | None = None) -> str:  # noqa: ARG001
        asked.append(arguments)
        if arguments[0] == "show":
            return LISTING.split("\n\n", maxsplit=1)[0]
        if arguments[0] == "restart" and path.read_text() == "new":
            raise units.UnitError("it does not start")
        return ""

    monkeypatch.setattr(units, "_systemctl", systemctl)
    monkeypatch.setattr(units, "_journal", lambda _name: "")
    unit = {"name": "nginx.service", "restart_for": [str(path)]}
    with pytest.raises(StabilityError, match="it does not start\nThe files were put back"):
        run(files=[{"path": str(path), "content": "new", **OWN}], units=[unit])
    assert path.read_text() == "old"
    assert asked[-1] == ("restart", "--", "nginx.service")


def test_one_unit_that_is_not_put_back_does_not_keep_the_others_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a first installation nothing runs on without its files."""
    asked: list[tuple[str, ...]] = []
    states = {"a.socket": State(True), "b.service": State(True, True, True), "c.service": State(True)}

    def systemctl(*arguments: str, seconds: float | None = None) -> str:  # noqa: ARG001
        asked.append(arguments)
        if arguments[0] == "restart" or arguments[:3] == ("start", "--", "c.service"):
            raise units.UnitError(f"{arguments[2]} does not {arguments[0]}")
        return ""

    monkeypatch.setattr(units, "_systemctl", systemctl)
    monkeypatch.setattr(units, "_journal", lambda _name: "")
    monkeypatch.setattr(units, "states", lambda _names: states)
    path = str(tmp_path / "file")
    b = {"name": "b.service", "restart_for": [path]}
    with pytest.raises(StabilityError, match=r"b\.service does not restart\nNot undone: b\.service does not restart"):
        run(files=[{"path": path, "content": "new", **OWN}], units=[{"name": "a.socket"}, b])
    undone = [("stop", "--", "a.socket"), ("restart", "--", "b.service")]
    assert [call for call in asked if call[0] in ("stop", "disable", "restart")][1:] == [
        ("disable", "--", "a.socket"),
        *undone,
    ]
    asked.clear()
    with pytest.raises(StabilityError, match=r"c\.service does not start\nThe files were put back"):
        run(files=[{"path": path, "content": "new", **OWN}], units=[{"name": "a.socket"}, {"name": "c.service"}])
    assert [call for call in asked if call[0] in ("stop", "disable")] == [
        ("disable", "--", "c.service"),
        ("stop", "--", "c.service"),
        ("disable", "--", "a.socket"),
        ("stop", "--", "a.socket"),
    ]
    assert not Path(path).exists()


def test_a_file_of_any_size_is_replaced_and_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    desired = {"path": str(path), "content": "new", **OWN}

    def endless() -> None:
        with path.open("wb") as file:
            file.truncate(1 << 40)

    endless()
    made = run(files=[desired])
    assert path.read_text() == "new"
    assert len(made.diff()) == 1
    endless()
    with pytest.raises(StabilityError, match=r"beyond[\s\S]*file is not put back: it was larger than 64 MiB"):
        run(files=[desired, {"path": f"{path}/beyond", "content": "x", **OWN}])


@pytest.fixture
def authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's trust store is the host's part; here it is a directory whose bundle is made by touching it."""
    added = tmp_path / "added"
    added.mkdir()
    monkeypatch.setattr(trust_store, "_ADDED", f"{added}/")
    monkeypatch.setattr(trust_store, "_LOCK", tmp_path / "lock")
    monkeypatch.setattr(trust_store, "_BUNDLE", tmp_path / "bundle")
    monkeypatch.setattr(trust_store, "update", (tmp_path / "bundle").touch)
    return added


def test_added_authorities_are_trusted_once(authorities: Path) -> None:
    file = {"path": str(authorities / "company.crt"), "sent": sent(b"PEM"), **OWN}
    first = run(files=[file], removed=[str(authorities / "never")])
    assert first.diff()[0]["after"] == f"trusted: {file['path']}\n"
    assert not run(files=[file]).changed
    # as a run leaves it that was killed in between
    os.utime(authorities / "company.crt", (time.time() + 60,) * 2)
    again = run(files=[file])
    assert (again.changed, again.paths) == (True, [])


def test_authorities_that_can_not_be_trusted_are_taken_back(authorities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StabilityError("the disk is full")

    monkeypatch.setattr(trust_store, "update", refuse)
    with pytest.raises(StabilityError, match="the disk is full\nThe files were put back"):
        run(files=[{"path": str(authorities / "company.crt"), "content": "PEM", **OWN}])
    assert list(authorities.iterdir()) == []
