"""Who somebody is, in the forms that vendors compare by hash: what differs by one sign is somebody else to them.

What is no address or number comes to nothing (None), so that `default` can take over: a bad phone number must not keep
out the e-mail address beside it.
"""

from __future__ import annotations

import re
from typing import Any

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+?[0-9 ().\-/\u00a0\u2010-\u2015\u202f]+")
_GMAIL = ("gmail.com", "googlemail.com")
_DIGITS_MIN, _DIGITS_MAX = 7, 15  # of an international number (E.164 names the most)


def email(value: Any) -> str | None:
    """`{{ customer.email | email }}`: trimmed and in lower case, as Meta and Mailchimp compare it.

    >>> email(" John_Smith@gmail.com "), email("nobody")
    ('john_smith@gmail.com', None)
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if _ADDRESS.fullmatch(text) else None


def google_email(value: Any) -> str | None:
    """`{{ customer.email | google_email }}`: as Google compares it, without dots and what follows a plus at Gmail.

    >>> google_email("cloudy.sanfrancisco+shopping@gmail.com"), google_email("user.name+NYC@Example.com")
    ('cloudysanfrancisco@gmail.com', 'user.name+nyc@example.com')
    """
    found = email("".join(value.split())) if isinstance(value, str) else None
    if found is None:
        return None
    local, _, domain = found.rpartition("@")
    if domain not in _GMAIL:
        return found
    local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else None


def phone(value: Any, country: Any = "") -> str | None:
    """`{{ customer.phone | phone: "40" }}`: the digits of E.164, country code first and without a plus. `country`: the
    calling code of numbers without one; without it these come to nothing.

    >>> phone("(800)555-0100", "1"), phone("0721 000 000", "40"), phone("+40 (0) 721-000.000"), phone("0040721000000")
    ('18005550100', '40721000000', '40721000000', '40721000000')
    >>> phone("0721 000 000"), phone("call me"), phone("40721000000", "40")
    (None, None, '40721000000')
    """
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    code = "".join(char for char in str(country or "") if char in "0123456789")
    if not _PHONE.fullmatch(text):
        return None
    digits = "".join(char for char in text.replace("(0)", "", 1) if char in "0123456789")
    if text.startswith("+"):
        found = digits
    elif digits.startswith("00"):
        found = digits[2:]
    elif not code:
        return None
    elif digits.startswith(code) and len(digits) > 10:  # a code and a whole number after it
        found = digits
    else:
        found = code + digits.removeprefix("0")
    return found if _DIGITS_MIN <= len(found) <= _DIGITS_MAX and not found.startswith("0") else None


def google_phone(value: Any, country: Any = "") -> str | None:
    """`{{ customer.phone | google_phone: "1" }}`: the same with the plus that Google hashes too.

    >>> google_phone("(800)555-0100", "1")
    '+18005550100'
    """
    found = phone(value, country)
    return f"+{found}" if found else None
