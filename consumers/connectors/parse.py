"""Reads a connector's document (contract §6): in one pass that collects every mistake, each at its place."""

from __future__ import annotations

import re
from typing import Any

from consumers.connectors.documents import Auth, AuthKind, Document, Limits
from consumers.connectors.parse_answers import answer_rules
from consumers.connectors.parse_calls import BATCH_MAX, CallsReader, templates_by_name, whole
from consumers.connectors.templates import Template, compile_url, compile_value
from consumers.connectors.trees import leaf, uses_of
from consumers.connectors.variables import OF_A_CONNECTOR, strange
from rules.errors import Mistake, SegmentInvalid
from rules.language import load_yaml, mistakes
from rules.language.draft import Draft, join
from rules.language.hints import listed, shown
from rules.language.parse_values import mapping, only_keys, text

CONNECTOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KEYS = ("connector", "about", "base", "auth", "sign", "headers", "settings", "limits", "answer", "calls")
_AUTHS: tuple[AuthKind, ...] = ("bearer", "basic", "header", "query", "oauth")
_LIMITS = ("per_second", "concurrency", "batch")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,31}")
_EXAMPLE = "{connector: crm, base: https://crm.example, calls: {note: {post: /notes, json: {text: hello}}}}"


class ConnectorInvalid(SegmentInvalid):
    """A connector's document is refused whole; `mistakes` as for a segment's document."""


def read_connector(source: str | bytes, name: str = "") -> Document:
    """The document in a text of YAML or JSON; `name`: of the file, for messages. Raises ConnectorInvalid."""
    try:
        raw = load_yaml(source)
    except SegmentInvalid as error:
        raise ConnectorInvalid(error.mistakes) from None
    return parse_connector(raw, name)


def parse_connector(raw: Any, source: str = "") -> Document:
    """A document (decoded YAML or JSON). Raises ConnectorInvalid with every mistake, nothing else."""
    draft = Draft()
    found = _document(draft, raw, source)
    if draft.mistakes:
        raise ConnectorInvalid(Mistake(each.at, each.message) for each in draft.mistakes)
    assert found is not None, "a document without a mistake was read"
    return found


def _document(draft: Draft, raw: Any, source: str) -> Document | None:
    document = mapping(draft, raw, "", _EXAMPLE)
    if document is None:
        return None
    only_keys(draft, document, "", _KEYS)
    limits = _limits(draft, document.get("limits", {}))
    base = _address(draft, document["base"], "base") if "base" in document else ""
    calls = CallsReader(
        draft,
        limits,
        answer_rules(draft, document["answer"], "answer") if "answer" in document else None,
        "base" in document,
    )
    auth = _auth(draft, document["auth"]) if "auth" in document else None
    headers = templates_by_name(draft, document.get("headers", {}), "headers", header=True)
    sign = _secret(draft, document["sign"], "sign") if "sign" in document else None
    _of_the_connector(draft, {"base": base, "headers": headers, "sign": sign})
    if auth is not None:
        inner: Any = auth.values.get("token") if auth.kind == "bearer" else auth.values
        if auth.kind == "oauth":
            inner = {"form": auth.values, "url": auth.url}
        _of_the_connector(draft, {"auth": {auth.kind: inner}})
    return Document(
        name=_name(draft, document),
        about=text(draft, document["about"], "about", "`about`", 10_000) or "" if "about" in document else "",
        base=base,
        auth=auth,
        sign=sign,
        headers=headers,
        settings=_settings(draft, document.get("settings", {})),
        limits=limits,
        calls=calls.read(document),
        source=source,
    )


def _name(draft: Draft, document: dict[str, Any]) -> str:
    if "connector" not in document:
        draft.wrong("connector", mistakes.missing_key("connector", "connector: crm"))
        return ""
    found = text(draft, document["connector"], "connector", "a connector's name", 1 << 16)
    if found is None:
        return ""
    if not CONNECTOR_NAME.fullmatch(found):
        draft.wrong(
            "connector",
            f"{shown(found)} is no connector's name: lower case letters, digits and `_`, beginning with a letter, "
            "at most 32 characters",
        )
    return found


def _of_the_connector(draft: Draft, tree: dict[str, Any]) -> None:
    """These are made without any customer, so they may speak of none."""
    for at, use in uses_of(tree, ""):
        for message in strange(use, OF_A_CONNECTOR):
            draft.wrong(at, message)


def _address(draft: Draft, raw: Any, at: str) -> Template | str:
    """`base`, and a token's endpoint: an address, whose values are percent-encoded, or all of it one setting."""
    found = text(draft, raw, at, "an address", 2048)
    if found is None:
        return ""
    compiled = leaf(found, at, draft.wrong)
    if isinstance(compiled, Template) and compiled.exact:
        return compiled
    if not found.startswith(("https://", "http://")):
        draft.wrong(at, f"{shown(found)} is no address: write e.g. `https://api.example.com/v1`")
        return ""
    return leaf(found, at, draft.wrong, compile_url) or ""


def _secret(draft: Draft, raw: Any, at: str) -> Template | str | None:
    found = text(draft, raw, at, "a secret", 2048)
    if found is None:
        return None
    if "secrets." not in found:
        draft.wrong(at, "secrets never stand in a document: name one, such as `{{ secrets.CRM_TOKEN }}`")
        return None
    return leaf(found, at, draft.wrong, compile_value)


# -- auth -------------------------------------------------------------------------------------------------------------


def _auth(draft: Draft, raw: Any) -> Auth | None:
    example = '{bearer: "{{ secrets.CRM_TOKEN }}"}'
    found = mapping(draft, raw, "auth", example)
    if found is None:
        return None
    only_keys(draft, found, "auth", _AUTHS)
    kinds = [kind for kind in _AUTHS if kind in found]
    if len(kinds) != 1:
        draft.wrong("auth", f"takes one of {listed(_AUTHS)}, e.g. `{example}`")
        return None
    kind, value, at = kinds[0], found[kinds[0]], f"auth.{kinds[0]}"
    if kind == "bearer":
        secret = _secret(draft, value, at)
        return Auth(kind, {"token": secret}) if secret is not None else None
    if kind == "basic":
        return _basic(draft, value, at)
    if kind == "oauth":
        return _oauth(draft, value, at)
    values = templates_by_name(draft, value, at, header=kind == "header")
    return Auth(kind, values) if values else None


def _basic(draft: Draft, raw: Any, at: str) -> Auth | None:
    found = mapping(draft, raw, at, '{user: any, password: "{{ secrets.CRM_KEY }}"}')
    if found is None:
        return None
    only_keys(draft, found, at, ("user", "password"))
    for key in ("user", "password"):
        if key not in found:
            draft.wrong(f"{at}.{key}", mistakes.missing_key(key, f"{key}: ..."))
    user = text(draft, found.get("user", "x"), f"{at}.user", "a user", 1024)
    password = _secret(draft, found["password"], f"{at}.password") if "password" in found else None
    if user is None or password is None:
        return None
    return Auth("basic", {"user": leaf(user, f"{at}.user", draft.wrong), "password": password})


def _oauth(draft: Draft, raw: Any, at: str) -> Auth | None:
    example = '{url: https://auth.example/token, form: {grant_type: refresh_token, refresh_token: "{{ ... }}"}}'
    found = mapping(draft, raw, at, example)
    if found is None:
        return None
    only_keys(draft, found, at, ("url", "form"))
    for key in ("url", "form"):
        if key not in found:
            draft.wrong(f"{at}.{key}", mistakes.missing_key(key, example))
    url = _address(draft, found["url"], f"{at}.url") if "url" in found else ""
    form = templates_by_name(draft, found["form"], f"{at}.form", header=False) if "form" in found else {}
    return Auth("oauth", form, url) if url and form else None


# -- settings and limits ----------------------------------------------------------------------------------------------


def _settings(draft: Draft, raw: Any) -> dict[str, Any]:
    found = mapping(draft, raw, "settings", "{subdomain: null}") or {}
    for key, value in found.items():
        if not _SETTING.fullmatch(key):
            draft.wrong(join("settings", key), f"{shown(key)} is no setting's name: lower case letters, digits, `_`")
        if value is not None and not isinstance(value, str | int | float):
            draft.wrong(join("settings", key), "a setting is a text, a number, or null where it has no default")
    return found


def _limits(draft: Draft, raw: Any) -> Limits:
    found = mapping(draft, raw, "limits", "{per_second: 7, batch: 50}") or {}
    only_keys(draft, found, "limits", _LIMITS)
    per_second = found.get("per_second")
    good = isinstance(per_second, int | float) and not isinstance(per_second, bool) and 0 < per_second <= 10_000
    if "per_second" in found and not good:
        draft.wrong("limits.per_second", f"must be a number above 0, up to 10,000; this is {shown(per_second)}")
        per_second = None
    return Limits(
        per_second=float(per_second) if per_second is not None else None,
        concurrency=whole(draft, found.get("concurrency", 8), "limits.concurrency", 1000),
        batch=whole(draft, found.get("batch", 1), "limits.batch", BATCH_MAX),
    )
