# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of what root does by path: where a service may write, a path leads wherever the service likes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from project import COLLECTION

MODULES = "plugins/modules"
LOGIC = "plugins/module_utils"
HELPER = "_host/service_tree.py"
OWN = "tests/checks/path_checks.py"
# Root's programs on a host that no module imports.
PROGRAMS = (
    "_programs/watchdog/root_helper.py",
    "_programs/metrics/publish.py",
    "_programs/report/cli.py",
    "_programs/file_backup/cli.py",
)
NAMES = (
    "chmod chown copy copyfile copytree fwalk hardlink_to lchmod lchown link makedirs mkdir mkfifo mknod move open"
    " read_bytes read_text remove rename replace rmdir rmtree scandir symlink symlink_to touch truncate unlink utime"
    " walk write_bytes write_text"
)
CALLS = set(NAMES.split())
# Of these names other types have methods as well: text and data classes are replaced, lists lose elements.
MODULES_OF = {"replace": ("os",), "remove": ("os",), "copy": ("shutil",), "move": ("shutil",), "link": ("os",)}
SYSTEM = ("/proc", "/sys")

# Why no service's user has a say in where the paths of a file lead.
CONFIG = "the directories of the service that are root's: config/, releases/, activations/ and their parent"
ETC = "root's directories: /etc, /usr, /opt, /run, /var/lib, /var/log/nginx"
SCRATCH = "a directory that was made for root alone, or for the controller's user"
KERNEL = "files of the kernel, named by constants"
AS_USER = "as the service's user, by effective_user, or as the one who calls it"
NEW = "a release that is still root's own"

# What may use paths all the same: the calls, and why.
ALLOWED = {
    "_acme/attempts.py": ("chmod mkdir unlink", ETC),
    "_acme/lineage.py": ("read_bytes read_text", ETC),
    "_checks/fleet.py": ("read_text", ETC),
    "_checks/host_conflicts.py": (
        "read_text scandir",
        "policies of logrotate's; of directories only the names inside",
    ),
    "_checks/memory.py": ("read_text", KERNEL),
    "_deploy/actual.py": ("read_text", CONFIG),
    "_deploy/hold.py": ("chown chmod", CONFIG),
    "_deploy/lease.py": ("read_text unlink", CONFIG),
    "_deploy/links.py": ("chmod mkdir", CONFIG),
    "_host/accounts.py": ("read_text", ETC),
    "_host/archive.py": ("mkdir open symlink_to utime", NEW),
    "_host/atomic.py": ("open rename replace symlink_to unlink", f"{CONFIG}; {ETC}"),
    "_host/console.py": ("open", "/dev/null, which is root's"),
    "_host/files.py": ("unlink", ETC),
    "_host/kernel_settings.py": ("read_text write_text", KERNEL),
    "_host/lock.py": ("open", "by its callers: files of root's, or as the one who calls it; no link is followed"),
    "_host/proc.py": ("open read_text scandir", KERNEL),
    "_host/small_file.py": ("open", "no link: its directory is root's, or one that is open already"),
    "_host/tcp.py": ("read_text", KERNEL),
    "_host/unix_sockets.py": ("read_text", KERNEL),
    "_net/certificate.py": ("read_text", ETC),
    "_net/download.py": ("open unlink", CONFIG),
    "_net/private_ca.py": ("chmod mkdir read_bytes", ETC),
    "_nginx/apply.py": ("unlink", ETC),
    "_nginx/debian.py": ("open touch unlink", ETC),
    "_nginx/plan.py": ("read_bytes", ETC),
    "_nginx/probe.py": ("read_text", ETC),
    "_nginx/service.py": ("open", ETC),
    "_nginx/staging.py": ("mkdir read_bytes read_text rmtree symlink_to walk write_bytes", SCRATCH),
    "_nginx/transaction.py": ("mkdir open read_bytes rename rmdir symlink_to unlink", ETC),
    "_nodejs/foreign_code.py": ("chmod chown open", f"{SCRATCH}; {ETC}"),
    "_nodejs/toolchain.py": ("chmod mkdir read_text rename symlink_to unlink write_text", ETC),
    "_pm2/bus.py": (
        "open",
        "a socket, without a link, and only of the service's user; its directory is in root's /run",
    ),
    "_pm2/client.py": ("open", AS_USER),
    "_pm2/converge.py": ("chmod unlink", AS_USER),
    "_pm2/daemon.py": ("read_text", ETC),
    "_pm2/ecosystem.py": ("read_text", CONFIG),
    "_postgresql/window.py": ("open replace", AS_USER),
    "_programs/common.py": ("read_text", CONFIG),
    "_programs/history.py": ("chmod unlink", ETC),
    "_programs/report/cli.py": ("unlink", ETC),
    "_programs/file_backup/restoring.py": ("chown mkdir rename rmdir", CONFIG),
    "_programs/metrics/recorder.py": ("scandir", "of a directory that is open, reached without a link of its owner's"),
    "_programs/metrics/publish.py": ("unlink", "node_exporter's directory, which no service's user may write in"),
    "_checks/nginx.py": ("read_text", "nginx's pid file, which is root's"),
    "_release/job.py": ("mkdir unlink", CONFIG),
    "_release/lock.py": ("open", CONFIG),
    "_release/store.py": (
        "copytree mkdir rmtree walk",
        "in shared/ and a release that is its user's, as that user; root follows no link there, and opens nothing",
    ),
    "_removal/database.py": ("read_text", ETC),
    "_removal/files.py": ("read_text", KERNEL),
    "_removal/plan.py": ("rmdir unlink", CONFIG),
    "_service/footprint.py": ("read_text", ETC),
    "modules/compare.py": ("mkdir rename rmtree utime", ETC),
    "modules/pm2_app.py": ("read_text", CONFIG),
}


def root_uses_no_paths(root: Path) -> list[str]:
    """What runs as root, modules and all that they import, opens and changes by path only what ALLOWED says."""
    problems = []
    for path in _files(root):
        name_of = _name(root, path)
        allowed = set(ALLOWED.get(name_of, ("", ""))[0].split())
        found = list(_calls(ast.parse(path.read_text(encoding="utf-8"))))
        problems += [
            f"{path.relative_to(root)}:{line}: {name} by path as root; use {HELPER}, or say in {OWN} why nobody else"
            " has a say in where it leads"
            for line, name in found
            if name not in allowed
        ]
        unused = allowed - {name for _line, name in found}
        problems += [f"tests/checks/path_checks.py: {name_of} does not use {name} any more" for name in sorted(unused)]
    return problems


def _name(root: Path, path: Path) -> str:
    """As ALLOWED has it: below module_utils, or modules/ and the module."""
    return str(path.relative_to(root / LOGIC if path.is_relative_to(root / LOGIC) else root / "plugins"))


def _files(root: Path) -> list[Path]:
    """The modules, and what they import of the collection's own; the helper is what all others are to use."""
    found = set((root / MODULES).glob("*.py"))
    waiting = [*found, *(path for name in PROGRAMS if (path := root / LOGIC / name).is_file())]
    found.update(waiting)
    while waiting:
        for path in _imported(root, waiting.pop()):
            if path.is_file() and path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(path for path in found if path != root / LOGIC / HELPER)


def _imported(root: Path, path: Path) -> Iterator[Path]:
    """Where the collection's own modules would be that a file imports, each also as a name of its package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = (node.module or "").removeprefix(f"ansible_collections.{COLLECTION}.")
        start = (path.parents[node.level - 1] if node.level else root) / module.replace(".", "/")
        yield start.with_suffix(".py")
        yield from (start / f"{alias.name}.py" for alias in node.names)


def _calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "open":
            yield node.lineno, "open"
        elif isinstance(called, ast.Attribute) and called.attr in CALLS and _is_of_files(node, called):
            yield node.lineno, called.attr


def _is_of_files(node: ast.Call, called: ast.Attribute) -> bool:
    """Whether it is the call of that name which works on files, elsewhere than in the kernel's own ones."""
    owner = called.value.id if isinstance(called.value, ast.Name) else ""
    if called.attr == "replace" and len(node.args) == 1 and not node.keywords:
        return True
    if called.attr in MODULES_OF:
        return owner in MODULES_OF[called.attr]
    if owner in ("tarfile", "zipfile", "tar", "ast"):
        return False
    texts = [
        text.value for part in (called.value, *node.args) for text in ast.walk(part) if isinstance(text, ast.Constant)
    ]
    return not any(isinstance(text, str) and text.startswith(SYSTEM) for text in texts)
