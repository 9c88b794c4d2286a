# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether backups can be kept where a person wants them, before anything changes on the host."""

from __future__ import annotations

import datetime
import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from .._host.errors import StabilityError
from .._net.bucket import Bucket, code_of
from .._net.http import Answer, HttpError, RequestError

_OK = 200
# From here on it is the store's own trouble.
_TROUBLE = 500
# What S3 says, which variable that is about, and what would be right.
_REFUSALS = {
    "NoSuchBucket": ("backup_s3_bucket", "a bucket that exists. Create it, or correct the name"),
    "InvalidAccessKeyId": ("backup_s3_key", "the key of an account of that store"),
    "SignatureDoesNotMatch": ("backup_s3_secret", "the secret to backup_s3_key"),
    "AccessDenied": ("backup_s3_key", "a key that may list, read and write below backup_s3_path"),
    "AuthorizationHeaderMalformed": ("backup_s3_region", "the region of the bucket"),
    "PermanentRedirect": ("backup_s3_endpoint", "the endpoint of the bucket's own region"),
    "RequestTimeTooSkewed": ("the host's clock", "the time of day. Correct it"),
}
_OTHERWISE = ("backup_s3_endpoint", "a store that speaks S3, with that bucket")


class AwayError(StabilityError):
    """The repository can't be asked now."""


def require_mount(directory: str) -> None:
    """Raise StabilityError where a directory, also one that is to come, is on the file system of the root directory."""
    place = Path(directory)
    found = next(path for path in (place, *place.parents) if path.exists())
    if found.stat().st_dev == Path("/").stat().st_dev:
        raise StabilityError(
            f"backup_directory is not on a disk of its own: {directory} is on that of /; expected a mount. Mount it, or"
            " set backup_mount: any where the backups are meant to be on the disk that they are to survive"
        )


def require_backups(is_there: Callable[[str], bool], what: str, below: Sequence[str]) -> None:
    """Raise StabilityError where no file has a name that begins with one of these."""
    if not any(is_there(prefix) for prefix in below):
        raise StabilityError(
            f"the repository has no backup of {what}: nothing is at {below[0]}*; expected those of the lost host. Mount"
            " the disk, or correct where backups are kept and the host's name, which is that of the lost one"
        )


def in_directory(prefix: str) -> bool:
    """Whether there is a file, or a directory, with such a name."""
    directory, _slash, name = prefix.rpartition("/")
    return any(Path(directory).glob(f"{glob.escape(name)}*"))


def in_bucket(bucket: Bucket, prefix: str) -> bool:
    """Whether there is an object with such a name. Raises StabilityError."""
    return b"<Contents>" in _below(bucket, prefix.lstrip("/")).body


def require_bucket(bucket: Bucket, path: str) -> None:
    """Raise StabilityError where no backups can be kept there, and AwayError where that can't be told now."""
    _below(bucket, f"{path.strip('/')}/")


def _below(bucket: Bucket, prefix: str) -> Answer:
    where = f"{bucket.endpoint} answers for bucket {bucket.name}"
    try:
        answer = bucket.first_below(prefix, datetime.datetime.now(tz=datetime.UTC))
    except (HttpError, RequestError) as error:
        raise AwayError(
            f"backup_s3_endpoint can't be asked: {bucket.endpoint}: {error}; expected its answer"
        ) from error
    if answer.status >= _TROUBLE:
        raise AwayError(f"backup_s3_endpoint is in trouble: {where} {answer.status}; expected {_OK}")
    if answer.status != _OK:
        code = code_of(answer)
        variable, right = _REFUSALS.get(code, _OTHERWISE)
        raise StabilityError(f"{variable} is wrong: {where} {answer.status} {code}".rstrip() + f"; expected {right}")
    return answer
