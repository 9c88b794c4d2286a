# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before an authority is asked: would it find the challenge? It counts failures, and after a few refuses for hours."""

from __future__ import annotations

import os
import secrets
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from .._host.errors import StabilityError
from .._host.service_tree import directories_below, discard, open_directory, write_file
from .._net.http import HttpError, Request, fetch
from .._net.websocket import host_header

CHALLENGES = PurePosixPath(".well-known/acme-challenge")
_SECONDS = 5.0
_OK = 200
_REDIRECTS = range(300, 400)
_OTHERS_WRITE = 0o022


def challenge_problems(names: Iterable[str], webroot: Path, port: int = 80) -> list[str]:
    """Of each name that an authority may not find the challenge by, why. Raises StabilityError.

    What only the world outside can tell is left to the authority: a host behind a router often can't reach itself by
    its own name.
    """
    refuse_open(webroot)
    try:
        with _proof(webroot) as (path, text):
            return [f"{name}: {problem}" for name in names if (problem := _problem(name, port, path, text))]
    except OSError as error:
        raise StabilityError(f"No challenge can be written below {webroot}: {error.strerror or error}") from error


@contextmanager
def _proof(webroot: Path) -> Iterator[tuple[str, str]]:
    """The path of a file that the site serves as it serves a challenge, and its text. Raises OSError."""
    text = secrets.token_urlsafe()
    name = f"check-{text}"
    root = os.geteuid(), os.getegid()
    with open_directory(webroot) as top, directories_below(top, CHALLENGES.parts, 0o755, root) as directory:
        try:
            write_file(directory, name, text.encode(), 0o644)
            yield f"/{CHALLENGES}/{name}", text
        finally:
            discard(directory, name)


def refuse_open(webroot: Path) -> None:
    """certbot writes there by path, as root. Raises StabilityError where others could lead it elsewhere."""
    for path in (webroot, *webroot.parents):
        found = path.lstat()
        shared = found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or shared:
            raise StabilityError(
                f"{webroot} is no place for challenges: {path} is a link, or others than root may write in it"
            )


def _problem(name: str, port: int, path: str, text: str) -> str:
    """Empty where none is seen."""
    try:
        found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        return f"the name does not resolve ({error.strerror or error}); add it to the DNS"
    silent: dict[str, HttpError] = {}
    for address in found:
        url = f"http://{host_header(address)}:{port}{path}"
        request = Request(url, headers={"Host": name}, timeout=_SECONDS, follow=False)
        try:
            answer = fetch(request)
        except HttpError as error:
            silent[address] = error
            continue
        if answer.status not in _REDIRECTS and (answer.status != _OK or answer.body.decode(errors="replace") != text):
            return (
                f"{address} answers without the challenge (status {answer.status}): another host or another site has"
                " the name, or a proxy that has not learnt of this one: run the playbook for all proxies"
            )
    return _silence(silent, [address for address in found if address not in silent])


def _silence(silent: Mapping[str, HttpError], answered: Sequence[str]) -> str:
    """What is wrong where some of a name's addresses do not answer."""
    if not answered:
        return next((f"this host does not answer: {silent[address]}" for address in silent if _is_own(address)), "")
    # An authority asks one address of several, and one of IPv4 where that of IPv6 is silent.
    families = {":" in address for address in answered}
    return next(
        (
            f"no answer from {error}; an authority may ask there: start that host, or take its address out of the DNS;"
            " where it is this one's own, as the world sees it, order with nginx_acme_insist"
            for address, error in silent.items()
            if (":" in address) in families
        ),
        "",
    )


def _is_own(address: str) -> bool:
    """Whether it is one of this host's: only these can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
