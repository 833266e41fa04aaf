"""`mail.send` behind the port of connectors: who gets a mail, which one, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.mail.addresses import Address, AddressInvalid, parse_address, parse_mailbox
from consumers.connectors.mail.folder import Folder
from consumers.connectors.mail.letters import NoAddress, letter, mistakes, recipient
from consumers.connectors.mail.message import Letter, compose, headers
from consumers.connectors.mail.refusals import does_not_exist, outcome_of
from consumers.connectors.mail.settings import MailSettings
from consumers.connectors.mail.suppression import Suppression, Suppressions
from consumers.connectors.mail.tokens import Keys
from consumers.connectors.mail.transport import NotSent, Transport
from consumers.connectors.port import Rendered, RenderFailed, Subject
from consumers.delivery.port import Done, Dropped, Failed, Outcome, Refused
from consumers.state.store import Store
from rules.errors import Mistake, Unavailable
from rules.times import format_instant

UNSUBSCRIBE_PATH = "/v1/mail/unsubscribe/"
_NOT_SET_UP = "mail is not set up here (SEGMENTD_MAIL_HOST)"
_MASKED = "***"
_BOTH_WAYS = "a mail cannot be taken back: use it with `entered` or `exited`"


class Mail:
    """The connector `mail`. `settings` None: it is not set up, and its calls fail until it is."""

    name = "mail"
    calls: Sequence[str] = ("send",)

    def __init__(
        self, settings: MailSettings | None, store: Store, clock: Clock = SYSTEM_CLOCK, folder: Folder | None = None
    ) -> None:
        self._settings, self._clock = settings, clock
        self._folder = folder or Folder(settings.templates_dir if settings else None)
        self._keys = Keys(settings.secrets) if settings else None
        self._suppressions = Suppressions(store, self._keys) if self._keys else None
        self._transport = Transport(settings, clock) if settings else None

    def batch_max(self, call: str) -> int:
        return 1

    def concurrency(self, call: str) -> int:
        return self._settings.connections if self._settings else 1

    def check(self, call: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        """Every mistake in `with`; what the template's files say is checked too."""
        return [Mistake(f"{at}.use", _BOTH_WAYS)] if both_ways else mistakes(with_, at, self._folder)

    async def call(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Outcome]:
        """One mail each. Done says nothing of the customer; the server's answer is masked."""
        return [await self._send(with_, subject, key) for subject, key in zip(subjects, keys, strict=True)]

    async def _send(self, with_: Mapping[str, Any], subject: Subject, key: str) -> Outcome:
        if self._settings is None or self._suppressions is None or self._keys is None:
            return Failed(_NOT_SET_UP)
        try:
            to = recipient(with_, subject, key, self._clock.now_ms())
            suppressed = await self._suppressions.find(to)
            if suppressed is not None:
                return Dropped(_why(suppressed))
            url = f"{self._settings.public_url}{UNSUBSCRIBE_PATH}{self._keys.token(to, subject.item.customer_id)}"
            return await self._deliver(self._letter(with_, subject, key, to, url))
        except NoAddress:
            return Dropped("the customer has no e-mail address")
        except RenderFailed as error:
            return Failed(error.why) if error.mendable else Refused(error.why)
        except Unavailable as error:
            return Failed(f"the store is away: {error.why}", retry_after_s=error.retry_after_s)

    async def _deliver(self, mail: Letter) -> Outcome:
        assert self._settings is not None
        assert self._transport is not None
        assert self._suppressions is not None
        try:
            bounces = parse_address(self._settings.return_path) if self._settings.return_path else mail.sender.address
            await self._transport.send(bounces, mail.to, compose(mail))
        except AddressInvalid as error:
            return Failed(f"SEGMENTD_MAIL_RETURN_PATH: {error}")
        except NotSent as error:
            if does_not_exist(error.stage, error.said):
                await self._suppressions.add(mail.to, "bounced", self._clock.now_ms())
            return outcome_of(error.stage, error.said, mail.to)
        return Done("the mail server has it")

    def render(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Rendered]:
        """The mails, with the link to unsubscribe masked: whoever has it can unsubscribe the customer."""
        return [self._shown(with_, subject, key) for subject, key in zip(subjects, keys, strict=True)]

    def _shown(self, with_: Mapping[str, Any], subject: Subject, key: str) -> Rendered:
        if self._settings is None:
            raise RenderFailed(_NOT_SET_UP, mendable=True)
        try:
            to = recipient(with_, subject, key, self._clock.now_ms())
        except NoAddress:
            raise RenderFailed("the customer has no e-mail address") from None
        url = f"{self._settings.public_url}{UNSUBSCRIBE_PATH}{_MASKED}"
        mail = self._letter(with_, subject, key, to, url)
        shown = dict(headers(mail)) | {"Subject": mail.subject}
        body = mail.text if not mail.html else f"{mail.text}\n\n-- HTML --\n{mail.html}"
        return Rendered("MAIL", self._settings.server, shown, body, [subject.item.customer_id])

    def _letter(self, with_: Mapping[str, Any], subject: Subject, key: str, to: Address, url: str) -> Letter:
        assert self._settings is not None
        return letter(with_, subject, key, to, url, self._clock.now_ms(), self._settings, self._folder)

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()


def check_settings(settings: MailSettings) -> list[str]:
    """What is wrong with them, each naming its setting; none: nothing."""
    wrong: list[str] = []
    for name, text in (
        ("FROM", settings.sender),
        ("REPLY_TO", settings.reply_to),
        ("RETURN_PATH", settings.return_path),
    ):
        try:
            if text or name == "FROM":
                parse_mailbox(text)
        except AddressInvalid as error:
            wrong.append(f"SEGMENTD_MAIL_{name}: {error}")
    if settings.password and settings.tls == "none":
        wrong.append("SEGMENTD_MAIL_TLS: a password goes over TLS only; take `starttls` or `tls`")
    return wrong


def _why(entry: Suppression) -> str:
    since = format_instant(entry.since_ms)[:10]
    return f"unsubscribed on {since}" if entry.why == "unsubscribed" else f"the address does not exist (since {since})"
