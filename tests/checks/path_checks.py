# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of what root does by path: where a service may write, a path leads wherever the service likes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MODULES = "plugins/modules"
LOGIC = "plugins/module_utils"
HELPER = "_service_tree"
OWN = "tests/checks/path_checks.py"
# Root's programs on a host that no module imports.
PROGRAMS = ("_watch_privileged", "_alert_metrics")
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
CONFIG = "the directories of the service that are root's: config/, releases/ and their parent"
ETC = "root's directories: /etc, /usr, /opt, /run, /var/lib, /var/log/nginx"
SCRATCH = "a directory that was made for root alone, or for the controller's user"
KERNEL = "files of the kernel, named by constants"
AS_USER = "as the service's user, by effective_user, or as the one who calls it"
NEW = "a release that is still root's own"

# What may use paths all the same: the calls, and why.
ALLOWED = {
    "_absent.py": ("rmdir unlink", CONFIG),
    "_absent_database.py": ("read_text", ETC),
    "_absent_files.py": ("read_text", ETC),
    "_absent_system.py": ("read_text", KERNEL),
    "_alert_metrics.py": ("unlink", "node_exporter's directory, which no service's user may write in"),
    "_access_log.py": ("open", ETC),
    "_activation_files.py": ("open read_bytes rename replace symlink_to unlink", CONFIG),
    "_activation_memory.py": ("read_text", KERNEL),
    "_activation_state.py": ("read_text", CONFIG),
    "_activation_steps.py": ("read_bytes", CONFIG),
    "_address_holder.py": ("read_text", KERNEL),
    "_boot_clock.py": ("read_text", KERNEL),
    "_deploy_claim.py": ("open read_text unlink", CONFIG),
    "_deploy_lock.py": ("open", CONFIG),
    "_diagnose_proxy.py": ("read_text", AS_USER),
    "_diagnose_state.py": ("open", AS_USER),
    "_dotenv.py": ("read_text", CONFIG),
    "_download.py": ("open unlink", CONFIG),
    "_fleet_check.py": ("read_text", ETC),
    "_foreign_code.py": ("chmod chown read_text", SCRATCH),
    "_host_conflicts.py": ("read_text scandir walk", "files of /etc; of directories only the names of what is in them"),
    "_installed_files.py": ("open replace symlink_to unlink", ETC),
    "_kernel_settings.py": ("read_text write_text", KERNEL),
    "_memory.py": ("read_text", KERNEL),
    "_nginx.py": ("read_bytes unlink", ETC),
    "_nginx_certificate.py": ("read_text", ETC),
    "_nginx_files.py": ("mkdir open read_bytes rename rmdir symlink_to unlink", ETC),
    "_nginx_host.py": ("open touch unlink", ETC),
    "_nginx_probe.py": ("read_text", ETC),
    "_nginx_service.py": ("open read_text", ETC),
    "_nginx_staging.py": ("mkdir read_bytes read_text rmtree symlink_to walk write_bytes", SCRATCH),
    "_pg_state.py": ("read_text", ETC),
    "_pg_window.py": ("open replace", AS_USER),
    "_pm2_client.py": ("open", AS_USER),
    "_pm2_converge.py": ("chmod unlink", AS_USER),
    "_pm2_daemon.py": ("read_text", ETC),
    "_pm2_ecosystem.py": ("read_text", CONFIG),
    "_release.py": ("mkdir rename", "in releases/, which is root's; in shared/ as the service's user"),
    "_release_job.py": ("mkdir unlink", CONFIG),
    "_server_certificate.py": ("chmod chown mkdir read_bytes read_text", ETC),
    "_small_file.py": ("open", "no link: its directory is root's, or one that is open already"),
    "_state_file.py": ("replace unlink", ETC),
    "_tcp_connections.py": ("read_text", KERNEL),
    "_tcp_sockets.py": ("read_text", KERNEL),
    "_toolchain.py": ("chmod mkdir open read_text rename replace rmtree symlink_to unlink write_text", ETC),
    "_unpack.py": ("mkdir open symlink_to utime", NEW),
    "_watch_privileged.py": ("open", "/run/nginx-restarts, which is root's"),
    "_watch_proxy.py": ("read_text", KERNEL),
    "pm2_app.py": ("read_text", CONFIG),
}


def root_uses_no_paths(root: Path) -> list[str]:
    """What runs as root, modules and all that they import, opens and changes by path only what ALLOWED says."""
    problems = []
    for path in _files(root):
        allowed = set(ALLOWED.get(path.name, ("", ""))[0].split())
        found = list(_calls(ast.parse(path.read_text(encoding="utf-8"))))
        problems += [
            f"{path.relative_to(root)}:{line}: {name} by path as root; use {HELPER}, or say in {OWN} why nobody else"
            " has a say in where it leads"
            for line, name in found
            if name not in allowed
        ]
        unused = allowed - {name for _line, name in found}
        problems += [
            f"tests/checks/path_checks.py: {path.name} does not use {name} any more" for name in sorted(unused)
        ]
    return problems


def _files(root: Path) -> list[Path]:
    """The modules, and what they import of the collection's own; the helper is what all others are to use."""
    found = set((root / MODULES).glob("*.py"))
    waiting = [*found, *(path for name in PROGRAMS if (path := root / LOGIC / f"{name}.py").is_file())]
    found.update(waiting)
    while waiting:
        for name in _imported(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            path = root / LOGIC / f"{name}.py"
            if path.is_file() and path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(path for path in found if path.stem != HELPER)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").rpartition(".")[2]
            yield from (alias.name for alias in node.names)


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
