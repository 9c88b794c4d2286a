# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a look at the channels' URLs shows to be wrong, without Apprise: on the controller, before anything changes.

Whether all parts of a URL are there only the host's Apprise knows, which is asked as soon as it is there. URLs are
secrets: no message has more of one than its kind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# What Apprise 1.2.0 (Debian 12) and 1.9.3 (Debian 13) both list as schemas, without those of a desktop.
_IN_BOTH = """
    apprise apprises bark barks bulksms clicksend d7sms dapnet dingtalk discord emby embys enigma2 enigma2s fcm
    flock form forms gchat gotify gotifys growl guilded hassio hassios ifttt join json jsons kavenegar kodi
    kodis kumulos lametric lametrics line mailgun mailto mailtos mastodon mastodons matrix matrixs mmost mmosts
    mqtt mqtts msg91 msgbird msteams ncloud nclouds nctalk nctalks nexmo notica noticas notifico ntfy ntfys o365
    onesignal opsgenie pagerduty parsep parseps pbul pjet pjets popcorn pover prowl psafer psafers push pushed
    reddit rocket rockets ryver schan sendgrid ses signal signals sinch slack smseagle smseagles smtp2go sns
    sparkpost spush strmlabs syslog tgram toot toots tweet twilio twist twitter vonage wxteams xbmc xbmcs xml
    xmls zulip
"""
_FROM_13 = """
    aprs atalk azure bluesky bsky bulkvs burstsms chanify feishu freemobile httpsms lsea lseas lunasea lunaseas
    misskey misskeys notifiarr pagertree plivo pushdeer pushdeers pushme pushy resend revolt rsyslog seven sfr
    smsmanager smsmgr splunk synology synologys threema victorops voipms webex wecombot whatsapp workflow
    workflows wxpusher x
"""
_UNTIL_12 = "boxcar faast gitter spontit"
_BY_DEBIAN = {"12": f"{_IN_BOTH} {_UNTIL_12}".split(), "13": f"{_IN_BOTH} {_FROM_13}".split()}
_ANYWHERE = sorted({kind for kinds in _BY_DEBIAN.values() for kind in kinds})
# What people call them.
_MEANT = {
    "email": "mailtos",
    "lark": "feishu",
    "smtp": "mailtos",
    "smtps": "mailtos",
    "teams": "msteams",
    "telegram": "tgram",
    "webhook": "jsons",
    "webhooks": "jsons",
    "wechat": "wecombot",
    "wecom": "wecombot",
    "weixin": "wecombot",
}
# The addresses of webhooks that Apprise takes as they are.
_NATIVE = re.compile(
    r"https?://(discord(app)?\.com|api\.flock\.com|(media\.)?guilded\.gg|maker\.ifttt\.com|[^./]+(\.webhook)?\.office\.com"
    r"|webhooks\.t2bot\.io|notica\.us|n\.tkte\.ch|[A-Z0-9_-]+\.ryver\.com|hooks\.slack\.com|api\.ciscospark\.com"
    r"|webexapis\.com|alert\.victorops\.com|qyapi\.weixin\.qq\.com|chat\.googleapis\.com|developer\.lametric\.com|ntfy\.sh"
    r"|[^/]+/(workflows|notify|hooks))/?.",
    re.IGNORECASE,
)
_FORM = re.compile(r"([a-z][a-z0-9]{0,19})://(.*)")
_ENCODE = "percent-encode the special characters in it"
_LAST_PORT = 65535
_HOST = re.compile(r"(?:[^@\[\]]*@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_OF_A_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
# Of the channels that docs/alerting.md shows, what must be there, and how it is told.
_PARTS = {
    "slack": (r"(?:[^@/]+@)?(?:xox[a-z]-|[^/?]+/[^/?]+/[^/?]).*|.*[?&]token=.*", "slack://A/B/C"),
    "feishu": (r"[^/?].*|.*[?&]token=.*", "feishu://TOKEN"),
    "dingtalk": (r"(?:[A-Za-z0-9]+@)?[A-Za-z0-9]+(?:[/?].*)?|.*[?&]token=.*", "dingtalk://SECRET@TOKEN"),
    "wecombot": (r"[^/?].*|.*[?&]key=.*", "wecombot://KEY"),
    "mailto": (r"[^@/?]+@.+|.*[?&]user=[^&].*", "mailto://USER:PASSWORD@DOMAIN"),
    "mailtos": (r"[^@/?]+@.+|.*[?&]user=[^&].*", "mailtos://HOST:587?user=USER&pass=PASSWORD&to=TO"),
}


def url_problems(urls: Sequence[str], debian: str = "") -> list[tuple[int, str]]:
    """Each URL that is wrong, by its place in the list, with the reason; `debian`: the host's release, if known."""
    found = [(place, _problem(url, debian)) for place, url in enumerate(urls)]
    found += [
        (place, "is there twice: each message would come twice")
        for place, url in enumerate(urls)
        if url in urls[:place]
    ]
    return [(place, text) for place, text in found if text]


def _problem(url: str, debian: str) -> str:
    form = _FORM.fullmatch(url)
    if not form or not url.isprintable() or " " in url:
        return "expected an Apprise URL of the form kind://..., its kind in lower case, without spaces"
    kind, rest = form.groups()
    if kind in ("http", "https"):
        return "" if _NATIVE.match(url) else f"Apprise knows no such address; a webhook is json{kind[4:]}://HOST/PATH"
    if kind not in _BY_DEBIAN.get(debian, _ANYWHERE):
        return _unknown(kind, debian)
    if rest.strip("/") == "" and kind != "syslog":
        return f"nothing follows {kind}://"
    return _wrong_part(kind, rest)


def _unknown(kind: str, debian: str) -> str:
    releases = [release for release, kinds in _BY_DEBIAN.items() if kind in kinds]
    if releases:
        return f"{kind}:// is known to the Apprise of Debian {' and '.join(releases)}, and not of Debian {debian}"
    near = _MEANT.get(kind) or next(iter(difflib.get_close_matches(kind, _ANYWHERE, 1)), "")
    return f"Apprise knows no {kind}://" + (f"; did you mean {near}://?" if near else "")


def _wrong_part(kind: str, rest: str) -> str:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = _HOST.fullmatch(authority)
    if re.search(r"[\[\]]", authority) and not host:
        return f"{kind}:// has brackets that are no IPv6 address: {_ENCODE}"
    if kind in _OF_A_HOST and not host:
        return f"expected {kind}://HOST/PATH, with USER:PASSWORD@ and :PORT if needed; {_ENCODE}"
    if kind in _OF_A_HOST and host and not 0 < int(host[1] or 1) <= _LAST_PORT:
        return f"expected {kind}:// with a port of 1 to {_LAST_PORT}"
    pattern, example = _PARTS.get(kind, ("", ""))
    if pattern and not re.fullmatch(pattern, rest):
        return f"expected {example}"
    return ""
