"""The way to the mail server: a few connections, each used for many mails, none begun faster than is allowed.

Commands are given one by one, so that it is known at which of them the server said no, and that a mail whose DATA may
have arrived is never sent again from here (the engine does, with the same Message-ID).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from dataclasses import dataclass
from typing import NoReturn

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPAuthenticationError, SMTPException, SMTPResponseException

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.mail.addresses import Address
from consumers.connectors.mail.refusals import Said, Stage
from consumers.connectors.mail.settings import MailSettings
from rules.errors import SegmentdError


class NotSent(SegmentdError):
    """The mail did not go, or nobody knows. `stage`: at what; `said`: the server's answer, code 0 where it gave none
    (then `said.text` is what went wrong, in our words)."""

    def __init__(self, stage: Stage, said: Said) -> None:
        super().__init__(f"{stage}: {said.code} {said.text}")
        self.stage, self.said = stage, said


class Pace:
    """Turns at most `per_second` a second; None: at once. Pure: it is told the time and says how long to wait.

    >>> pace = Pace(2.0)
    >>> [pace.wait_s(now) for now in (10.0, 10.0, 10.0, 20.0)]
    [0.0, 0.5, 1.0, 0.0]
    """

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._next_s = 0.0

    def wait_s(self, now_s: float) -> float:
        turn = max(now_s, self._next_s)
        self._next_s = turn + self._gap_s
        return turn - now_s


@dataclass
class _Line:
    """A connection: how many mails it has carried, and when it was last used."""

    smtp: SMTP
    used: int = 0
    seen_s: float = 0.0


class Transport:
    """Sends finished mails. For one event loop."""

    def __init__(self, settings: MailSettings, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings, self._clock = settings, clock
        self._room = asyncio.Semaphore(settings.connections)
        self._idle: deque[_Line] = deque()
        self._pace = Pace(settings.per_second)
        self._trusted: ssl.SSLContext | None = None

    async def send(self, sender: Address, to: Address, message: bytes) -> None:
        """Returns when the server has taken it. Raises NotSent."""
        async with self._room:
            await asyncio.sleep(self._pace.wait_s(self._clock.monotonic()))
            line = await self._begun(sender, to)
            try:
                await self._finish(line.smtp, to, message)
            except BaseException:
                await self._put_back(line)
                raise
            line.used += 1
            await self._put_back(line)

    async def close(self) -> None:
        while self._idle:
            await _end(self._idle.popleft())

    async def _begun(self, sender: Address, to: Address) -> _Line:
        """A connection on which MAIL has been said: a new one, where the server has meanwhile closed the old one."""
        while (line := await self._kept()) is not None:
            try:
                await self._mail(line.smtp, sender, to)
            except NotSent as error:
                if error.said.code not in (0, 421):
                    await self._put_back(line)
                    raise
                line.smtp.close()
            except BaseException:
                line.smtp.close()
                raise
            else:
                return line
        line = _Line(await self._connected())
        try:
            await self._mail(line.smtp, sender, to)
        except BaseException:
            line.smtp.close()
            raise
        return line

    async def _kept(self) -> _Line | None:
        """A connection that is still good; those that are not are ended."""
        while self._idle:
            line = self._idle.pop()
            fresh = self._clock.monotonic() - line.seen_s < self._settings.idle_s
            if line.smtp.is_connected and fresh and line.used < self._settings.messages_per_connection:
                return line
            await _end(line)
        return None

    async def _put_back(self, line: _Line) -> None:
        """Only a connection whose last answer was read is used again."""
        if line.smtp.is_connected and line.used < self._settings.messages_per_connection:
            line.seen_s = self._clock.monotonic()
            self._idle.append(line)
        else:
            await _end(line)

    async def _connected(self) -> SMTP:
        settings = self._settings
        if settings.tls != "none" and self._trusted is None:
            try:
                self._trusted = await asyncio.to_thread(_trusted, settings)
            except OSError as error:
                _fail("connecting", error)
        smtp = SMTP(
            hostname=settings.host,
            port=settings.port_or_usual,
            local_hostname=settings.hello or None,
            timeout=settings.timeout_s,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._trusted,
            username=settings.user or None,
            password=settings.password or None,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
        except SMTPAuthenticationError as error:
            raise NotSent("signing in", Said(error.code, error.message)) from None
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            _fail("connecting", error)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _mail(self, smtp: SMTP, sender: Address, to: Address) -> None:
        if to.needs_utf8 and not smtp.supports_extension("smtputf8"):
            raise NotSent("the recipient", Said(553, "5.6.7 the mail server does not take addresses beyond ASCII"))
        utf8 = to.needs_utf8 or sender.needs_utf8
        try:
            if utf8:
                await smtp.mail(sender.text, options=["SMTPUTF8", "BODY=8BITMIME"], encoding="utf-8")
            else:
                await smtp.mail(sender.text)
        except (SMTPException, OSError) as error:
            await _reset(smtp, error)
            _fail("the sender", error)

    async def _finish(self, smtp: SMTP, to: Address, message: bytes) -> None:
        stage: Stage = "the recipient"
        try:
            await smtp.rcpt(to.text, encoding="utf-8" if to.needs_utf8 else "ascii")
            stage = "the message"
            await smtp.data(message)
        except (SMTPException, OSError) as error:
            await _reset(smtp, error)
            _fail(stage, error)
        except BaseException:
            smtp.close()  # cancelled: what the server answers would be taken for the next mail's
            raise


def _trusted(settings: MailSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.cafile)


async def _reset(smtp: SMTP, error: Exception) -> None:
    """Takes back what was said of this mail, for the next one on this connection."""
    if not isinstance(error, SMTPResponseException) or error.code == 421:
        smtp.close()
        return
    with contextlib.suppress(SMTPException, OSError):
        await smtp.rset()


async def _end(line: _Line) -> None:
    with contextlib.suppress(SMTPException, OSError):
        if line.smtp.is_connected:
            await line.smtp.quit()
    line.smtp.close()


def _fail(stage: Stage, error: Exception) -> NoReturn:
    if isinstance(error, SMTPResponseException):
        raise NotSent(stage, Said(error.code, error.message)) from None
    raise NotSent(stage, Said(0, f"{type(error).__name__}: {error}")) from None
