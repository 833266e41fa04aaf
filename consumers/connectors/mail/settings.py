"""How mail is sent, as one value; where each comes from is said in `service/settings.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Tls = Literal["starttls", "tls", "none"]
PORTS: dict[str, int] = {"starttls": 587, "tls": 465, "none": 25}
SECRET_CHARS_MIN = 32


@dataclass(frozen=True, slots=True)
class MailSettings:
    """`sender`: `Shop <hello@shop.example>`, as is `reply_to` ("": none). `return_path`: the envelope's sender, to
    which bounces go ("": the sender's address). `public_url`: where recipients reach this service, without a slash at
    its end. `secrets`: newest first; the first signs and hashes, all are recognised."""

    host: str
    sender: str
    public_url: str
    secrets: tuple[str, ...] = field(repr=False)
    port: int = 0
    tls: Tls = "starttls"
    cafile: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    reply_to: str = ""
    return_path: str = ""
    list_domain: str = ""
    templates_dir: Path | None = None
    timeout_s: float = 30.0
    connections: int = 4
    messages_per_connection: int = 100
    idle_s: float = 30.0
    hello: str = ""
    per_second: float | None = None

    @property
    def port_or_usual(self) -> int:
        return self.port or PORTS[self.tls]

    @property
    def server(self) -> str:
        """For people: where mail goes, without user and password."""
        return f"{'smtps' if self.tls == 'tls' else 'smtp'}://{self.host}:{self.port_or_usual}"
