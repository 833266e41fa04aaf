"""Templates of mails, as files: `welcome.yaml` (subject, from, reply_to), `welcome.html.liquid`, `welcome.txt.liquid`.

Read when they are used, and again when a file has changed: who edits a mail does not restart a worker.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from consumers.connectors.templates import TEMPLATE_CHARS_MAX
from rules.errors import SegmentdError
from rules.language.hints import shown, unknown

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SAYS = ("subject", "from", "reply_to")


class TemplateMissing(SegmentdError):
    """There is no such template, or it is not right; the message says which file and what is wrong."""


class MailTemplate(NamedTuple):
    """A mail as its files say it; "" for what none says. None of it is rendered yet."""

    subject: str = ""
    sender: str = ""
    reply_to: str = ""
    text: str = ""
    html: str = ""


class Folder:
    """The folder of templates; None: there is none, and every name is unknown."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: dict[str, tuple[tuple[Any, ...], MailTemplate]] = {}

    @property
    def names(self) -> list[str]:
        """Of every template that has a text or an HTML file."""
        if self._path is None or not self._path.is_dir():
            return []
        found = {
            name.split(".")[0] for name in os.listdir(self._path) if name.endswith((".html.liquid", ".txt.liquid"))
        }
        return sorted(found)

    def get(self, name: str) -> MailTemplate:
        """The template of this name. Raises TemplateMissing."""
        if self._path is None:
            raise TemplateMissing("there is no folder of templates here (SEGMENTD_MAIL_TEMPLATES_DIR)")
        if not _NAME.fullmatch(name):
            raise TemplateMissing(f"{shown(name)} is no template's name: letters, digits, `-` and `_`")
        paths = [self._path / f"{name}.{end}" for end in ("yaml", "html.liquid", "txt.liquid")]
        stamp = tuple(_stamp(path) for path in paths)
        known = self._read.get(name)
        if known is None or known[0] != stamp:
            known = self._read[name] = stamp, self._load(name, paths)
        return known[1]

    def _load(self, name: str, paths: list[Path]) -> MailTemplate:
        settings, html, text = paths
        if not html.is_file() and not text.is_file():
            raise TemplateMissing(unknown("template", name, self.names))
        says = _says(settings) if settings.is_file() else {}
        return MailTemplate(
            subject=says.get("subject", ""),
            sender=says.get("from", ""),
            reply_to=says.get("reply_to", ""),
            html=_content(html) if html.is_file() else "",
            text=_content(text) if text.is_file() else "",
        )


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _content(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateMissing(f"{path.name} cannot be read ({type(error).__name__})") from None
    if len(text) > TEMPLATE_CHARS_MAX:
        raise TemplateMissing(f"{path.name} has more than {TEMPLATE_CHARS_MAX:,} characters")
    return text


def _says(path: Path) -> dict[str, str]:
    try:
        found = yaml.safe_load(_content(path)) or {}
    except yaml.YAMLError:
        raise TemplateMissing(f"{path.name} is not YAML") from None
    if not isinstance(found, dict):
        raise TemplateMissing(f"{path.name} is a mapping with {', '.join(_SAYS)}")
    for key, value in found.items():
        if key not in _SAYS:
            raise TemplateMissing(f"{path.name}: {unknown('key', key, _SAYS)}")
        if not isinstance(value, str):
            raise TemplateMissing(f"{path.name}: {key} is a text")
    return found
