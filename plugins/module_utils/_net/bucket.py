# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One question to a bucket that speaks S3's protocol, before anything is installed that could ask: what is in it?

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from .http import Answer, Request, fetch

_NOTHING = hashlib.sha256(b"").hexdigest()
_SECONDS = 15.0
_ALGORITHM = "AWS4-HMAC-SHA256"
_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Where it is, and who asks."""

    name: str
    endpoint: str
    """A host, with a port if it is another than 443."""
    region: str
    key: str
    secret: str
    in_path: bool = True
    """Whether the name is a part of the path, not of the host's name."""
    ca_file: str = ""

    def first_below(self, prefix: str, now: datetime.datetime) -> Answer:
        """Ask for one object whose name begins so. Raises HttpError, and RequestError."""
        host = self.endpoint.removesuffix(":443")
        host, path = (host, f"/{self.name}") if self.in_path else (f"{self.name}.{host}", "/")
        query = {"list-type": "2", "max-keys": "1", "prefix": prefix}
        url = f"https://{host}{path}?{_encoded(query)}"
        return fetch(Request(url, headers=self.signed(host, path, query, now), timeout=_SECONDS, ca_path=self.ca_file))

    def signed(self, host: str, path: str, query: Mapping[str, str], now: datetime.datetime) -> dict[str, str]:
        """The headers of a GET request in UTC that let it in."""
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        given = {"host": host, "x-amz-content-sha256": _NOTHING, "x-amz-date": moment}
        names = ";".join(given)
        headers = "".join(f"{name}:{value}\n" for name, value in given.items())
        request = "\n".join(["GET", path, _encoded(query), headers, names, _NOTHING])
        scope = f"{now:%Y%m%d}/{self.region}/s3/aws4_request"
        text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for word in scope.split("/"):
            key = _mac(key, word)
        authorization = f"Credential={self.key}/{scope},SignedHeaders={names},Signature={_mac(key, text).hex()}"
        return {**given, "Authorization": f"{_ALGORITHM} {authorization}"}


def code_of(answer: Answer) -> str:
    """S3's word for what is wrong; empty where it has none."""
    found = _CODE.search(answer.body)
    return found[1].decode() if found else ""


def _encoded(query: Mapping[str, str]) -> str:
    return urlencode(sorted(query.items()), quote_via=quote, safe="")


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
