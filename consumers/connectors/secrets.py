"""Secrets by name, and settings of connectors. A secret is read where a connector's document names it
(`{{ secrets.KOMMO_TOKEN }}`), and is masked in everything that is shown, kept or logged.

`KOMMO_TOKEN` is the environment's `SEGMENTD_SECRET_KOMMO_TOKEN`, or else the file of that name in the directory of
secrets, as Docker and Kubernetes mount them; files are read anew when they change. A setting `subdomain` of the
connector `kommo` is the environment's `SEGMENTD_CONNECTOR_KOMMO_SUBDOMAIN`, or else what its document says.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
SECRET_PREFIX = "SEGMENTD_SECRET_"
SETTING_PREFIX = "SEGMENTD_CONNECTOR_"
MASK = "***"
_CHARS_MIN = 4  # a shorter secret is none, and masking it would make holes in every text
_BYTES_MAX = 64 * 1024


class Secrets:
    """Where secrets come from. Never shows one: `repr` has names only."""

    def __init__(self, directory: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._environment = os.environ if environment is None else environment
        self._files: dict[str, tuple[tuple[int, int], str]] = {}
        self._forms: dict[str, None] = {}  # everything that a secret may look like, longest first

    def __repr__(self) -> str:
        return f"Secrets(directory={str(self._directory)!r})"

    def get(self, name: str) -> str | None:
        """Its value, without white space around it; None where it is not set or empty."""
        if not SECRET_NAME.fullmatch(name):
            return None
        value = self._environment.get(SECRET_PREFIX + name, "").strip() or self._from_file(name)
        if value:
            self.remember(value)
        return value or None

    def _from_file(self, name: str) -> str:
        if self._directory is None:
            return ""
        path = self._directory / name
        try:
            found = path.stat()
            mark = (found.st_mtime_ns, found.st_size)
            if (kept := self._files.get(name)) and kept[0] == mark:
                return kept[1]
            if found.st_size > _BYTES_MAX:
                return ""
            value = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""
        self._files[name] = (mark, value)
        return value

    def remember(self, value: str) -> None:
        """Masks this one too from now on: a token got with a secret, for instance."""
        if len(value) < _CHARS_MIN or value in self._forms:
            return
        raw = value.encode()
        forms = {value, quote(value, safe=""), quote(value), quote_plus(value), orjson.dumps(value).decode()[1:-1]}
        forms |= {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
        self._forms = dict.fromkeys(sorted({*self._forms, *forms}, key=len, reverse=True))

    def mask(self, text: str) -> str:
        """`text` with `***` for every secret that has been read, also where it is percent- or base64-encoded."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text


class SecretsView:
    """What templates see as `secrets`. With `shown`, every secret that is set reads `***`."""

    __slots__ = ("_secrets", "_shown")

    def __init__(self, secrets: Secrets, shown: bool) -> None:
        self._secrets = secrets
        self._shown = shown

    def __getitem__(self, name: Any) -> str:
        value = self._secrets.get(name) if isinstance(name, str) else None
        if value is None:
            raise KeyError(name)
        return MASK if self._shown else value


class SettingsView:
    """What templates see as `settings` of one connector."""

    __slots__ = ("_defaults", "_environment", "_prefix")

    def __init__(self, connector: str, defaults: Mapping[str, Any], environment: Mapping[str, str] | None) -> None:
        self._prefix = f"{SETTING_PREFIX}{connector.upper()}_"
        self._defaults = defaults
        self._environment = os.environ if environment is None else environment

    def variable(self, key: str) -> str:
        return self._prefix + key.upper()

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise KeyError(key)
        if given := self._environment.get(self.variable(key), "").strip():
            return given
        if (value := self._defaults[key]) is None:
            raise KeyError(key)
        return value

    def get(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            return None
