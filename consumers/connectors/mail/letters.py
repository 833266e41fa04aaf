"""From `with`, templates and a customer to one letter; and every mistake in a `with` before it is ever used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.connectors.mail.addresses import Address, AddressInvalid, Mailbox, parse_address, parse_mailbox
from consumers.connectors.mail.folder import Folder, MailTemplate, TemplateMissing
from consumers.connectors.mail.message import Letter
from consumers.connectors.mail.plain import text_of
from consumers.connectors.mail.settings import MailSettings
from consumers.connectors.port import RenderFailed, Subject
from consumers.connectors.templates import TemplateWrong, compile_text
from consumers.connectors.variables import of_subject, strange
from rules.errors import Mistake
from rules.language.hints import unknown

KEYS = ("template", "subject", "text", "html", "to", "from", "reply_to")
KNOWN = frozenset({"customer", "segment", "event", "item", "now", "unsubscribe_url"})
"""What a mail's templates may speak of."""


class NoAddress(Exception):
    """The customer has none: there is nobody to write to, and nothing is wrong."""


def recipient(with_: Mapping[str, Any], subject: Subject, key: str, now_ms: int) -> Address:
    """Raises NoAddress, RenderFailed (also for what is no address: the message says why, without it)."""
    said = with_.get("to")
    to = subject.customer.get("email") if said is None else _rendered(str(said), of_subject(subject, key, now_ms))
    if to is None or (isinstance(to, str) and not to.strip()):
        raise NoAddress
    return _address("to", to)


def letter(
    with_: Mapping[str, Any],
    subject: Subject,
    key: str,
    to: Address,
    unsubscribe_url: str,
    now_ms: int,
    settings: MailSettings,
    folder: Folder,
) -> Letter:
    """What is to be sent to one customer. Raises RenderFailed."""
    found = _chosen(with_, folder)
    variables = of_subject(subject, key, now_ms) | {"unsubscribe_url": unsubscribe_url}
    html = _rendered(found.html, variables, html=True)
    text = _rendered(found.text, variables) if found.text else text_of(html)
    title = _rendered(found.subject, variables)
    if not title.strip():
        raise RenderFailed("the subject is empty")
    sender = _mailbox("from", _rendered(found.sender or settings.sender, variables))
    reply = _rendered(found.reply_to or settings.reply_to, variables)
    return Letter(
        sender=sender,
        to=to,
        subject=title,
        text=text,
        html=html,
        key=key,
        date_ms=now_ms,
        unsubscribe_url=unsubscribe_url,
        list_id=f"{subject.segment['id']}.{settings.list_domain or sender.address.domain}",
        list_name=str(subject.segment.get("name") or ""),
        reply_to=_mailbox("reply_to", reply) if reply.strip() else None,
    )


def mistakes(with_: Mapping[str, Any], at: str, folder: Folder) -> list[Mistake]:
    """Every mistake in a `with`, located below `at` (the action)."""
    found = [Mistake(f"{at}.with.{key}", unknown("key", key, KEYS)) for key in with_ if key not in KEYS]
    texts = {key: value for key, value in with_.items() if key in KEYS}
    for key, value in texts.items():
        if not isinstance(value, str):
            found.append(Mistake(f"{at}.with.{key}", "is a text"))
        elif key != "template":
            found += _wrong(value, f"{at}.with.{key}", html=key == "html")
    if any(not isinstance(value, str) for value in texts.values()):
        return found
    if "template" in with_:
        return found + _wrong_template(with_, at, folder)
    if "text" not in with_ and "html" not in with_:
        found.append(Mistake(f"{at}.with", "needs a `template`, or a `text` or `html` of its own"))
    elif "subject" not in with_:
        found.append(Mistake(f"{at}.with", "needs a `subject`"))
    return found


def _wrong_template(with_: Mapping[str, Any], at: str, folder: Folder) -> list[Mistake]:
    found = [
        Mistake(f"{at}.with.{key}", "is in the template: take one of them away")
        for key in ("text", "html")
        if key in with_
    ]
    try:
        template = folder.get(with_["template"])
    except TemplateMissing as error:
        return [*found, Mistake(f"{at}.with.template", str(error))]
    if not with_.get("subject") and not template.subject:
        found.append(Mistake(f"{at}.with", "needs a `subject`, for the template has none"))
    for field, text in template._asdict().items():
        for mistake in _wrong(text, f"{at}.with.template", html=field == "html"):
            said = {"sender": "from"}.get(field, field)
            found.append(Mistake(mistake.at, f"{with_['template']} ({said}): {mistake.message}"))
    return found


def _wrong(text: str, at: str, *, html: bool) -> list[Mistake]:
    try:
        template = compile_text(text, html=html)
    except TemplateWrong as error:
        return [Mistake(at, str(error))]
    return [Mistake(at, why) for use in template.uses for why in strange(use, KNOWN)]


def _chosen(with_: Mapping[str, Any], folder: Folder) -> MailTemplate:
    """What is said in `with` goes before what the template says."""
    found = MailTemplate()
    if "template" in with_:
        try:
            found = folder.get(str(with_["template"]))
        except TemplateMissing as error:
            raise RenderFailed(str(error), mendable=True) from None
    return MailTemplate(
        subject=str(with_.get("subject") or found.subject),
        sender=str(with_.get("from") or found.sender),
        reply_to=str(with_.get("reply_to") or found.reply_to),
        text=str(with_.get("text") or found.text),
        html=str(with_.get("html") or found.html),
    )


def _rendered(source: str, variables: Mapping[str, Any], *, html: bool = False) -> str:
    if not source:
        return ""
    try:
        return compile_text(source, html=html).render(variables)
    except TemplateWrong as error:
        raise RenderFailed(str(error), mendable=True) from None


def _mailbox(field: str, text: str) -> Mailbox:
    try:
        return parse_mailbox(text)
    except AddressInvalid as error:
        raise RenderFailed(f"{field}: {error}") from None


def _address(field: str, text: Any) -> Address:
    try:
        return parse_address(text)
    except AddressInvalid as error:
        raise RenderFailed(f"{field}: {error}") from None
