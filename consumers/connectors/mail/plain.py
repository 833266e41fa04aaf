"""A mail's text, made from its HTML where nobody wrote one: what is read aloud, previewed, and weighed by filters."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_UNSEEN = frozenset({"head", "style", "script", "template", "title"})
_LINES = frozenset({"br", "tr", "li", "dt", "dd"})
_PARAGRAPHS = frozenset(
    {"p", "div", "table", "ul", "ol", "dl", "blockquote", "pre", "section", "article", "header", "footer", "hr"}
    | {f"h{level}" for level in range(1, 7)}
)
_BLANKS = re.compile(r"[^\S\n\u00a0]+")
_EMPTY_LINES = re.compile(r"\n{3,}")


def text_of(html: str) -> str:
    """The words of an HTML page: paragraphs apart by an empty line, items with a dash, links with their address.

    >>> print(text_of('<h1>Hello</h1><p>See <a href="https://a.example/b">our <b>offers</b></a>.</p><ul><li>One</ul>'))
    Hello
    <BLANKLINE>
    See our offers (https://a.example/b).
    <BLANKLINE>
    - One
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [_BLANKS.sub(" ", line).strip(" ") for line in "".join(reader.parts).split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


class _Reader(HTMLParser):
    """Collects the words, and where lines end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n")
            if tag == "li":
                self.parts.append("- ")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag == "a":
            self._links.append((said.get("href", ""), len(self.parts)))
        elif tag == "img" and said.get("alt"):
            self.handle_data(said["alt"])

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag == "a" and self._links:
            address, since = self._links.pop()
            words = "".join(self.parts[since:]).strip()
            if address and not address.startswith("#") and address.removeprefix("mailto:") != words:
                self.parts.append(f" ({address})" if words else address)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data.replace("\n", " "))
