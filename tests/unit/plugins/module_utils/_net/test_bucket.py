# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signature of a question to a bucket, by Amazon's own example; the scenario backup has a bucket."""

from __future__ import annotations

import datetime

from ansible_collections.workbot.stability.plugins.module_utils._net.bucket import Bucket

HOST = "examplebucket.s3.amazonaws.com"


def test_a_question_is_signed_as_amazons_example_of_a_list() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html."""
    key, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    bucket = Bucket("examplebucket", "s3.amazonaws.com", "us-east-1", key, secret, in_path=False)
    moment = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
    headers = bucket.signed(HOST, "/", {"max-keys": "2", "prefix": "J"}, moment)
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )
