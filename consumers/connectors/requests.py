"""Puts a call into requests: renders the templates for each customer, and brings together those that go in one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from consumers.connectors.documents import Request
from consumers.connectors.filters import OMIT
from consumers.connectors.port import RenderFailed
from consumers.connectors.secrets import MASK
from consumers.connectors.templates import Template
from consumers.connectors.trees import render_text, render_tree

BODY_BYTES_MAX = 8 * 1024 * 1024
URL_CHARS_MAX = 8 * 1024
KEY_CHARS_MAX = 255
Variables = Mapping[str, Any]


class NotNeeded(RenderFailed):
    """There is nothing to call for: the customer has not what the other side knows people by."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request in words, for one customer or several. `places`: theirs among the call's subjects; `elements`: what
    each of them adds to the body, in the same order, where there is such a thing. `query` and `headers` come without
    those that prove who calls."""

    request: Request
    url: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    variables: Variables
    places: tuple[int, ...]
    elements: tuple[Any, ...] = ()
    around: bytes | None = None  # the body without elements: who has the same can go in one request

    def body(self) -> bytes | None:
        """The bytes to be sent. Raises RenderFailed."""
        if self.request.form is None:
            return None
        variables = self.variables
        if self.request.each is not None:
            variables = {**variables, "each": list(self.elements)}
        return _body(self.request, variables)

    def only(self, numbers: Sequence[int]) -> Prepared:
        """The same for some of its customers, by their numbers in this request."""
        return replace(
            self,
            places=tuple(self.places[number] for number in numbers),
            elements=tuple(self.elements[number] for number in numbers),
        )

    def halves(self) -> tuple[Prepared, Prepared]:
        middle = len(self.places) // 2
        numbers = range(len(self.places))
        return self.only(numbers[:middle]), self.only(numbers[middle:])


def prepare(request: Request, base: str, variables: Variables, place: int) -> Prepared:
    """The request for one customer. Raises RenderFailed, NotNeeded."""
    _refuse_without(request.needs, variables)
    element = None
    if request.each is not None:
        element = render_tree(request.each, variables)
        if element is OMIT:
            raise NotNeeded("there is nothing to send for this customer")
    prepared = Prepared(
        request=request,
        url=_url(request, base, variables),
        query=tuple(_pairs(request.query, variables)),
        headers=tuple(_headers(request.headers, variables)),
        variables=variables,
        places=(place,),
        elements=(element,) if request.each is not None else (),
        around=_body(request, {**variables, "each": []}) if request.each is not None else None,
    )
    if request.each is None:
        prepared.body()
    return prepared


def together(prepared: Sequence[Prepared]) -> list[Prepared]:
    """Brings requests together that are the same but for their elements, in their order, up to `batch_max` each."""
    groups: dict[Any, list[Prepared]] = {}
    for number, each in enumerate(prepared):
        groups.setdefault(_sameness(each, number), []).append(each)
    found: list[Prepared] = []
    for same in groups.values():
        size = same[0].request.batch_max
        for begin in range(0, len(same), size):
            part = same[begin : begin + size]
            found.append(
                replace(
                    part[0],
                    places=tuple(each.places[0] for each in part),
                    elements=tuple(each.elements[0] for each in part if each.elements),
                )
            )
    return found


def _sameness(prepared: Prepared, number: int) -> Any:
    if prepared.request.each is None or prepared.request.batch_max == 1:
        return number
    return (id(prepared.request), prepared.url, prepared.query, prepared.headers, prepared.around)


# -- parts ------------------------------------------------------------------------------------------------------------


def _url(request: Request, base: str, variables: Variables) -> str:
    found = request.url
    text = (
        (found.value(variables) if found.exact else found.render(variables)) if isinstance(found, Template) else found
    )
    if not isinstance(text, str):
        raise RenderFailed("the address must be a text")
    if text.startswith("/"):
        _refuse_detours(text)
        text = base.rstrip("/") + text
    if not text.startswith(("https://", "http://")) and text != MASK:
        raise RenderFailed("the address must begin with `https://`")
    if len(text) > URL_CHARS_MAX:
        raise RenderFailed(f"an address may be at most {URL_CHARS_MAX:,} characters long")
    if urlsplit(text).fragment:
        raise RenderFailed("an address has no `#` part")
    return text


def address(found: Template | str, variables: Variables) -> str:
    """A template of an address: one that is nothing but a value is that value. Raises RenderFailed."""
    if not isinstance(found, Template):
        return found
    value = found.value(variables)
    if not isinstance(value, str):
        raise RenderFailed("an address must be a text")
    return value


def _refuse_without(needs: Mapping[str, Any], variables: Variables) -> None:
    """Raises NotNeeded where none of the things needed is there."""
    for tree in needs.values():
        try:
            if render_tree(tree, variables) not in (None, "", OMIT):
                return
        except RenderFailed as error:
            if error.mendable:
                raise
    if needs:
        raise NotNeeded(f"the customer has no {' or '.join(needs)}")


def _refuse_detours(path: str) -> None:
    """A value that is empty or dots would lead to another path than the one meant."""
    if any(part in ("", ".", "..") for part in path[1:].removesuffix("/").split("/")):
        raise RenderFailed("a value in the address is empty or made of dots")


def _pairs(tree: Mapping[str, Any], variables: Variables) -> Iterator[tuple[str, str]]:
    """Names and texts of a query or a form; a list gives its name once for each."""
    for name, each in tree.items():
        value = render_tree(each, variables)
        for one in value if isinstance(value, list) else [value]:
            if (text := render_text(one, variables, f"`{name}`")) is not None:
                yield name, text


def _headers(tree: Mapping[str, Any], variables: Variables) -> Iterator[tuple[str, str]]:
    for name, each in tree.items():
        if (text := render_text(each, variables, f"the header {name}")) is not None:
            yield name, header_value(name, text)


def header_value(name: str, text: str) -> str:
    """`text`, if it can stand in a header. Raises RenderFailed: line breaks would make headers of their own."""
    if not text.isascii() or not text.isprintable():
        raise RenderFailed(f"the header {name} has line breaks, control characters, or others than ASCII")
    return text


def _body(request: Request, variables: Variables) -> bytes | None:
    if request.form == "form":
        tree = request.body
        if not isinstance(tree, dict):
            raise RenderFailed("a form is a mapping")
        body = urlencode(list(_pairs(tree, variables)), safe=MASK).encode()
    else:
        value = render_tree(request.body, variables)
        if value is OMIT:
            return None
        try:
            body = orjson.dumps(value)
        except TypeError as error:
            raise RenderFailed(f"the body cannot be JSON: {error}") from None
    if len(body) > BODY_BYTES_MAX:
        raise RenderFailed(f"a body may be at most {BODY_BYTES_MAX:,} bytes, this one has {len(body):,}")
    return body


def with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    if not pairs:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(pairs, safe=MASK)}"


def put_header(headers: dict[str, str], name: str, value: str) -> None:
    """Of one name, however it is written, the later stands."""
    for other in [other for other in headers if other.lower() == name.lower()]:
        del headers[other]
    headers[name] = value


def idempotency_key(keys: Sequence[str]) -> str:
    """The idempotency key of a request: the call's own, or for several a digest of theirs; of ASCII, and not long."""
    if len(keys) > 1:
        return "batch:" + hashlib.sha256("\n".join(keys).encode()).hexdigest()
    key = quote(keys[0], safe="!#$&'()*+,/:;=?@[]~ ")
    return key if len(key) <= KEY_CHARS_MAX else "call:" + hashlib.sha256(keys[0].encode()).hexdigest()
