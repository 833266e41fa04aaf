"""Headers of a mail, from values that anybody may have chosen: one header in, one header out, whatever it says.

Written out here rather than by `email`'s own header classes, which take encoded words in a value apart again: a
customer called `=?utf-8?q?=0D=0ABcc:...?=` would then have a say in what is folded and how.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from email.header import Header as EncodedWords

from consumers.connectors.mail.addresses import Mailbox

NAME_CHARS_MAX = 100
_LINE_CHARS = 76
_WORD_CHARS_MAX = 60  # a longer one could not be folded
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Make what follows run the other way: in a header only ever used to deceive."""
_FOLDED = re.compile(rb"\r\n(?![ \t])|\r(?!\n)|(?<!\r)\n")


def written(headers: Sequence[tuple[str, str]]) -> bytes:
    """The headers' lines, each ended. Values are encoded and folded already."""
    lines = []
    for name, value in headers:
        line = f"{name}: {value}".encode()
        assert not _FOLDED.search(line), "a header ends where its value does"
        lines.append(line + b"\r\n")
    return b"".join(lines)


def one_line(text: str, chars_max: int) -> str:
    """What was rendered, as it can stand in a header: no line ends or other controls, blanks as one, cut with `…`.

    >>> one_line("Hello\\r\\nBcc: all@example.com", 80)
    'Hello Bcc: all@example.com'
    """
    seen = "".join(" " if _ends_or_controls(char) else char for char in text if char not in _TURNING)
    line = " ".join(seen.encode("utf-8", "replace").decode().split())
    return line if len(line) <= chars_max else line[: chars_max - 1].rstrip() + "…"


def words(name: str, text: str) -> str:
    """A value of words, folded; as encoded words (RFC 2047) where it is not ASCII, or could be taken for such.

    >>> words("Subject", "Bună ziua")
    '=?utf-8?q?Bun=C4=83_ziua?='
    """
    plain = text.isascii() and "=?" not in text and max(map(len, text.split()), default=0) <= _WORD_CHARS_MAX
    charset = "us-ascii" if plain else "utf-8"
    return EncodedWords(text, charset, maxlinelen=_LINE_CHARS, header_name=name).encode(linesep="\r\n")


def mailbox(header: str, box: Mailbox) -> str:
    """`Shop <hello@shop.example>`; the name quoted or encoded as it needs."""
    name, address = one_line(box.name, NAME_CHARS_MAX), box.address.text
    return f"{phrase(header, name)} <{address}>" if name else address


def phrase(header: str, name: str) -> str:
    """A name as it stands before an address: words, a quoted text, or encoded words."""
    if not name.isascii() or "=?" in name:
        return words(header, name)
    if re.fullmatch(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ends_or_controls(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Zl", "Zp")
