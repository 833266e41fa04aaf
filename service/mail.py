"""Mail as the service's settings say it: what the connector is made from, and the list of those who get none."""

from __future__ import annotations

from urllib.parse import urlsplit

from consumers.connectors.mail.connector import check_settings
from consumers.connectors.mail.settings import SECRET_CHARS_MIN, MailSettings
from consumers.connectors.mail.suppression import Suppressions
from consumers.connectors.mail.tokens import Keys
from consumers.state.store import Store
from service.settings import Settings


def mail_settings(settings: Settings) -> MailSettings | None:
    """None where mail is not set up. ValueError: what is wrong or missing, by the settings' names."""
    if not settings.mail_host:
        return None
    missing = [
        f"SEGMENTD_{name.upper()}"
        for name in ("mail_from", "mail_public_url", "mail_secret")
        if not getattr(settings, name)
    ]
    if missing:
        raise ValueError(f"SEGMENTD_MAIL_HOST is set, so {', '.join(missing)} must be too")
    found = MailSettings(
        host=settings.mail_host,
        port=settings.mail_port,
        tls=settings.mail_tls,
        cafile=settings.mail_ca_file,
        user=settings.mail_user,
        password=settings.mail_password.get_secret_value() if settings.mail_password else "",
        sender=settings.mail_from,
        reply_to=settings.mail_reply_to,
        return_path=settings.mail_return_path,
        list_domain=settings.mail_list_domain,
        public_url=_public_url(settings.mail_public_url),
        secrets=mail_secrets(settings),
        templates_dir=settings.mail_templates_dir,
        timeout_s=settings.mail_timeout_seconds,
        connections=settings.mail_connections,
        messages_per_connection=settings.mail_messages_per_connection,
        per_second=settings.mail_per_second,
        hello=settings.mail_hello,
    )
    if wrong := check_settings(found):
        raise ValueError("\n  ".join(wrong))
    return found


def mail_secrets(settings: Settings) -> tuple[str, ...]:
    """Newest first; none: mail is not set up. ValueError for one that is too short to be one."""
    given = settings.mail_secret.get_secret_value() if settings.mail_secret else ""
    found = tuple(each.strip() for each in given.split(",") if each.strip())
    if any(len(each) < SECRET_CHARS_MIN for each in found):
        raise ValueError(f"SEGMENTD_MAIL_SECRET: a secret has at least {SECRET_CHARS_MIN} characters")
    return found


def suppressions_of(settings: Settings, store: Store) -> Suppressions | None:
    """The list; None where there is no secret to read it by."""
    secrets = mail_secrets(settings)
    return Suppressions(store, Keys(secrets)) if secrets else None


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("SEGMENTD_MAIL_PUBLIC_URL: an address such as https://segments.shop.example")
    if not text.isascii() or any(char.isspace() or char in "<>" for char in text):
        raise ValueError("SEGMENTD_MAIL_PUBLIC_URL: only ASCII without blanks can stand in a header")
    return text.rstrip("/")
