"""A real SMTP server (aiosmtpd) in a thread of its own, that can be told to say no, and shows what it was given."""

from __future__ import annotations

import asyncio
import email.policy
import ipaddress
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "shop", "correct horse battery staple"


class Received(NamedTuple):
    """One mail as it came. `tls`: whether the connection was encrypted; `user`: who had signed in, "" for nobody."""

    sender: str
    recipients: list[str]
    content: bytes
    tls: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class Answers:
    """What the server says to the next commands: "" for yes. `hang_up_after`: mails on one connection."""

    mail: str = ""
    rcpt: str = ""
    data: str = ""
    hang_up_after: int = 0


@dataclass
class SmtpServer:
    """`start()` in a test, `stop()` at its end. `plain`: without STARTTLS; `implicit`: TLS from the first byte."""

    certificate: Path | None = None
    implicit: bool = False
    auth: bool = False
    utf8: bool = True
    answers: Answers = field(default_factory=Answers)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _server: asyncio.AbstractServer | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        context = _context(self.certificate) if self.certificate else None
        self._server = await self._loop.create_server(
            self._protocol(context), "127.0.0.1", self.port, ssl=context if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _protocol(self, context: ssl.SSLContext | None) -> Callable[[], SMTP]:
        def made() -> SMTP:
            self.connections += 1
            return SMTP(
                _Handler(self),
                hostname="mail.test",
                enable_SMTPUTF8=self.utf8,
                tls_context=None if self.implicit else context,
                auth_required=self.auth and not self.implicit,
                auth_require_tls=not self.implicit,
                authenticator=_authenticated if self.auth else None,
                loop=self._loop,
            )

        return made

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class _Handler:
    """aiosmtpd's hooks: an answer of ours, or the usual one."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._mails = 0

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        after = self._server.answers.hang_up_after
        if after and self._mails >= after:
            assert server.transport is not None
            server.transport.close()
            return "421 4.3.2 closing"
        if self._server.answers.mail:
            return self._server.answers.mail
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._server.answers.rcpt:
            return self._server.answers.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._server.answers.data:
            return self._server.answers.data
        user = getattr(session.auth_data, "login", b"").decode()
        encrypted = bool(session.ssl) or self._server.implicit
        content = envelope.original_content or b""
        received = Received(envelope.mail_from or "", list(envelope.rcpt_tos), content, encrypted, user)
        self._server.received.append(received)
        self._mails += 1
        return "250 OK"


def _authenticated(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False, auth_data=data)


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "mail.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.with_suffix(".key").write_bytes(secret)
    return path
