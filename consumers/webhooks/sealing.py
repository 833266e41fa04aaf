"""Secrets as they lie in the store: encrypted where the operator gave a key, readable where not."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from rules.errors import SegmentdError

KEY_CHARS_MIN = 32
_SEALED, _OPEN = "sealed:", "open:"


def keys_of(setting: SecretStr | None) -> list[str]:
    """The keys of a setting: with commas between, the first encrypts."""
    return [key.strip() for key in setting.get_secret_value().split(",") if key.strip()] if setting else []


class SealBroken(SegmentdError):
    """The secret was encrypted by a key that this process does not have."""

    def __init__(self) -> None:
        super().__init__("the signing secret cannot be read: `webhook_key` is not the one it was stored with")


class Seal:
    """`keys`: of at least 32 characters each; the first encrypts, all decrypt (so a key can be replaced). None: nothing
    is encrypted. Raises ValueError for a short one."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        if any(len(key) < KEY_CHARS_MIN for key in keys):
            raise ValueError(f"a key to encrypt secrets with has at least {KEY_CHARS_MIN} characters")
        made = [Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys]
        self._fernet = MultiFernet(made) if made else None

    def close(self, secret: str) -> str:
        if self._fernet is None:
            return _OPEN + secret
        return _SEALED + self._fernet.encrypt(secret.encode()).decode()

    def open(self, stored: str) -> str:
        """Raises SealBroken."""
        if stored.startswith(_OPEN):
            return stored.removeprefix(_OPEN)
        if self._fernet is None:
            raise SealBroken
        try:
            return self._fernet.decrypt(stored.removeprefix(_SEALED)).decode()
        except InvalidToken as error:
            raise SealBroken from error
