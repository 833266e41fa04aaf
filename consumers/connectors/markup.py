"""Looks a template's braces through before Liquid's own lexer sees them.

That lexer is made of regular expressions which go over the rest of a text again for every brace that is not closed:
64 KB of `{{` take minutes. What passes here is lexed in a time that grows with its length.
"""

from __future__ import annotations

import re

EXPRESSION_CHARS_MAX = 1000  # between two braces
BLANKS_MAX = 64  # in a row, there
TAGS = frozenset({"if", "unless", "case", "for", "break", "continue", "assign", "capture", "comment", "raw", "#"})
_PARTS = frozenset({"else", "elsif", "when"})
_ENDS = frozenset(f"end{name}" for name in TAGS)
_CLOSES = {"{{": "}}", "{%": "%}"}
_OPENING = re.compile(r"\{[{%]")
_NAME = re.compile(r"-?\s{0,64}(#|\w{1,32})")
_RAW_END = re.compile(r"\{%-?\s{0,64}endraw\s{0,64}-?%\}")
_BLANKS = re.compile(rf"\s{{{BLANKS_MAX + 1}}}")


class MarkupWrong(Exception):
    """`where`: of the brace, in characters from the beginning."""

    def __init__(self, where: int, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.message = message


def check_markup(source: str) -> None:
    """Raises MarkupWrong for braces that are not closed, too long, or of a tag that there is not."""
    here = 0
    while (opening := _OPENING.search(source, here)) is not None:
        begin = opening.start()
        close = _CLOSES[opening[0]]
        end = source.find(close, begin + 2, begin + 2 + EXPRESSION_CHARS_MAX + len(close))
        inside = source[begin + 2 : end] if end >= 0 else source[begin + 2 : begin + 2 + EXPRESSION_CHARS_MAX]
        if end < 0 and len(source) > begin + 2 + EXPRESSION_CHARS_MAX + len(close):
            raise MarkupWrong(begin, f"expected `{close}` within {EXPRESSION_CHARS_MAX:,} characters")
        if end < 0 or "{{" in inside or "{%" in inside:
            raise MarkupWrong(begin, f"expected `{close}`, found {'end of text' if end < 0 else 'another brace'}")
        if _BLANKS.search(inside):
            raise MarkupWrong(begin, f"at most {BLANKS_MAX} blanks stand in a row within braces")
        here = end + 2
        if close == "%}":
            here = _after_tag(source, begin, inside, here)


def _after_tag(source: str, begin: int, inside: str, here: int) -> int:
    """Where reading goes on behind a tag: for `raw` behind its end."""
    match = _NAME.match(inside)
    if match is None:
        raise MarkupWrong(begin, "a tag has a name, such as `if`")
    name = match[1]
    if name not in TAGS and name not in _PARTS and name not in _ENDS:
        raise MarkupWrong(begin, f"there is no tag `{name}`")
    if name != "raw":
        return here
    end = _RAW_END.search(source, here)
    if end is None:
        raise MarkupWrong(begin, "expected `{% endraw %}`")
    return end.end()
