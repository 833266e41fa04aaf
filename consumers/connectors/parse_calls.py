"""Reads the calls of a connector's document: requests, their answers, and the parameters they take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from consumers.connectors.documents import AnswerRules, Call, Limits, Method, Parameter, Request, Then
from consumers.connectors.parse_answers import answer_rules, expression
from consumers.connectors.templates import Template, compile_text, compile_url
from consumers.connectors.trees import compile_tree, leaf, uses_of
from consumers.connectors.uses import Use
from consumers.connectors.variables import OF_A_CALL, OF_A_CONNECTOR, RESERVED, not_known, strange
from rules.language import mistakes
from rules.language.draft import Draft, join
from rules.language.hints import shown
from rules.language.parse_values import mapping, only_keys, text

BATCH_MAX = 10_000
CALL_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,31}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
EACH = "{{ each }}"
_METHODS: dict[str, Method] = {"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE"}
_REQUEST = (*_METHODS, "query", "headers", "json", "form", "each", "batch", "needs", "answer", "then")
_CALL = ("about", "with", "add", "remove")
_REQUEST_EXAMPLE = '{post: /tasks, json: {text: "{{ text }}"}}'


class CallsReader:
    """Reads `calls`. `answer`: the rules of the whole document; `based`: whether it has a `base` for paths."""

    def __init__(self, draft: Draft, limits: Limits, answer: AnswerRules | None, based: bool) -> None:
        self._draft = draft
        self._limits = limits
        self._answer = answer or AnswerRules()
        self._based = based

    def read(self, document: Mapping[str, Any]) -> dict[str, Call]:
        draft = self._draft
        if "calls" not in document:
            draft.wrong("calls", mistakes.missing_key("calls", f"calls: {{task: {_REQUEST_EXAMPLE}}}"))
            return {}
        found = mapping(draft, document["calls"], "calls", f"{{task: {_REQUEST_EXAMPLE}}}")
        if found is not None and not found:
            draft.wrong("calls", mistakes.empty_mapping(f"{{task: {_REQUEST_EXAMPLE}}}"))
        calls: dict[str, Call] = {}
        for name, raw in (found or {}).items():
            at = join("calls", name)
            if not CALL_NAME.fullmatch(name):
                draft.wrong(at, f"{shown(name)} is no call's name: lower case letters, digits and `_`, at most 32")
            if (call := self._call(name, raw, at)) is not None:
                calls[name] = call
        return calls

    def _call(self, name: str, raw: Any, at: str) -> Call | None:
        draft = self._draft
        found = mapping(draft, raw, at, _REQUEST_EXAMPLE)
        if found is None:
            return None
        both = "add" in found or "remove" in found
        only_keys(draft, found, at, _CALL if both else ("about", "with", *_REQUEST))
        requests: dict[str, Request] = {}
        for way in ("add", "remove") if both else ("",):
            if both and way not in found:
                draft.wrong(f"{at}.{way}", "a call that can add can also remove: give both, or one request alone")
                continue
            place = f"{at}.{way}" if way else at
            if (request := self._request(found[way] if way else found, place, nested=both)) is not None:
                requests[way] = request
        about = text(draft, found["about"], f"{at}.about", "`about`", 1000) or "" if "about" in found else ""
        if len(requests) < 1 + both:
            return None
        declared = self._declared(found["with"], f"{at}.with") if "with" in found else None
        uses = [use for way, request in requests.items() for use in _uses(request, f"{at}.{way}" if way else at)]
        parameters = self._parameters(uses, declared, at)
        return Call(name, about, parameters, requests["add" if both else ""], requests.get("remove"))

    # -- requests -----------------------------------------------------------------------------------------------------

    def _request(self, raw: Any, at: str, *, nested: bool, then: bool = False) -> Request | None:
        draft = self._draft
        found = mapping(draft, raw, at, _REQUEST_EXAMPLE)
        if found is None:
            return None
        if nested or then:
            only_keys(draft, found, at, ("for", *_REQUEST) if then else _REQUEST)
        methods = [key for key in _METHODS if key in found]
        if len(methods) != 1:
            draft.wrong(at, f"takes one of get, post, put, patch, delete, e.g. `{_REQUEST_EXAMPLE}`")
            return None
        [method] = methods
        url = self._url(found[method], f"{at}.{method}")
        form, body, each = self._body(found, at, method)
        flat = each is not None and "each" not in found
        if each is not None and "then" in found:
            draft.wrong(f"{at}.then", "follows a request for one customer, not a batch of them")
        batch = whole(draft, found["batch"], f"{at}.batch", BATCH_MAX) if "batch" in found else self._limits.batch
        if "batch" in found and each is None:
            draft.wrong(f"{at}.batch", "goes with `each`, or with a `json` that is a list of one element")
        answer = answer_rules(draft, found["answer"], f"{at}.answer") if "answer" in found else None
        return Request(
            method=_METHODS[method],
            url=url,
            query=templates_by_name(draft, found.get("query", {}), f"{at}.query", header=False),
            headers=templates_by_name(draft, found.get("headers", {}), f"{at}.headers", header=True),
            form=form,
            body=body,
            each=each,
            flat=flat,
            batch_max=batch if each is not None else 1,
            needs=self._needs(found["needs"], f"{at}.needs") if "needs" in found else {},
            answer=answer or self._answer,
            then=self._then(found["then"], f"{at}.then", then) if "then" in found else None,
        )

    def _url(self, raw: Any, at: str) -> Template | str:
        draft = self._draft
        found = text(draft, raw, at, "a path", 2048)
        if found is None:
            return ""
        compiled = leaf(found, at, draft.wrong)
        if isinstance(compiled, Template) and compiled.exact:
            return compiled
        if found.startswith("/"):
            if not self._based:
                draft.wrong(at, "a path needs a `base`: give the document one, or write the whole address")
        elif not found.startswith(("https://", "http://")):
            draft.wrong(at, f"{shown(found)} is no path: write e.g. `/tasks`, or a whole address")
        if "?" in found.split("{{", 1)[0]:
            draft.wrong(at, "what follows a `?` goes into `query: {name: value}`")
        return leaf(found, at, draft.wrong, compile_url) or ""

    def _body(self, found: Mapping[str, Any], at: str, method: str) -> tuple[Any, Any, Any]:
        draft = self._draft
        if "json" in found and "form" in found:
            draft.wrong(f"{at}.form", "a request has one body: keep `json` or `form`")
        if method == "get":
            for key in ("json", "form", "each"):
                if key in found:
                    draft.wrong(f"{at}.{key}", "a GET has no body: use `query`")
        form = "json" if "json" in found else "form" if "form" in found else None
        if "each" in found:
            each = compile_tree(found["each"], f"{at}.each", draft.wrong)
            body = compile_tree(found.get(form, EACH) if form else EACH, f"{at}.{form or 'json'}", draft.wrong)
            if form and not any(use.path[0] == "each" for _, use in uses_of(body, "")):
                draft.wrong(f"{at}.{form}", f"`each` is sent nowhere: put `{EACH}` where the list of them belongs")
            return form or "json", body, each
        raw = found[form] if form else None
        if form == "json" and isinstance(raw, list) and len(raw) == 1:
            return "json", compile_tree(EACH, "", draft.wrong), compile_tree(raw[0], f"{at}.json[0]", draft.wrong)
        if form == "form":
            return "form", templates_by_name(draft, raw, f"{at}.form", header=False), None
        return form, compile_tree(raw, f"{at}.{form}", draft.wrong), None

    def _needs(self, raw: Any, at: str) -> dict[str, Any]:
        found = mapping(self._draft, raw, at, '{e-mail address: "{{ customer.email | email }}"}')
        return {name: compile_tree(value, join(at, name), self._draft.wrong) for name, value in (found or {}).items()}

    def _then(self, raw: Any, at: str, nested: bool) -> Then | None:
        draft = self._draft
        if nested:
            draft.wrong(at, "one `then` is all there is")
            return None
        request = self._request(raw, at, nested=True, then=True)
        if not isinstance(raw, dict) or request is None:
            return None
        if "for" not in raw:
            draft.wrong(f"{at}.for", mistakes.missing_key("for", "for: _embedded.tasks"))
            return None
        found = expression(draft, raw["for"], f"{at}.for")
        return Then(found, request) if found is not None else None

    # -- parameters ---------------------------------------------------------------------------------------------------

    def _declared(self, raw: Any, at: str) -> dict[str, str] | None:
        draft = self._draft
        found = mapping(draft, raw, at, "{text: what is to be done}")
        if found is None:
            return None
        for name, about in found.items():
            here = join(at, name)
            if name in RESERVED or not PARAMETER.fullmatch(name):
                draft.wrong(
                    here, f"{shown(name)} cannot be a parameter: lower case letters, digits, `_`, no known word"
                )
            if not isinstance(about, str):
                draft.wrong(here, mistakes.not_text(about, "what a parameter is for"))
        return {name: str(about) for name, about in found.items()}

    def _parameters(
        self, uses: Sequence[tuple[str, Use, frozenset[str]]], declared: dict[str, str] | None, at: str
    ) -> dict[str, Parameter]:
        """Every variable that is none of ours is a parameter; with a `with`, only those that it names are."""
        found: dict[str, tuple[bool, bool]] = {}
        for place, use, extra in uses:
            root = use.path[0]
            known = {*OF_A_CALL, *OF_A_CONNECTOR, *extra}
            if root in RESERVED and root not in known:
                self._draft.wrong(place, f"there is no `{root}` here")
            elif root in known:
                for message in strange(use, known):
                    self._draft.wrong(place, message)
            elif declared is not None and root not in declared:
                self._draft.wrong(place, not_known(root, {*known, *declared}))
            else:
                there, back = found.get(root, (False, False))
                of_remove = place.startswith(f"{at}.remove.")
                found[root] = (there or (use.needed and not of_remove), back or (use.needed and of_remove))
        for name in declared or {}:
            if name not in found:
                self._draft.wrong(join(f"{at}.with", name), "is used nowhere: leave it out")
        return {name: Parameter((declared or {}).get(name, ""), *needed) for name, needed in found.items()}


def _uses(request: Request, at: str, then: bool = False) -> Iterator[tuple[str, Use, frozenset[str]]]:
    """The variables of a request, with where, and what is known there besides."""
    found = frozenset({"found"}) if then else frozenset[str]()
    method = next(key for key, value in _METHODS.items() if value == request.method)
    for key, tree in (
        (method, request.url),
        ("query", request.query),
        ("headers", request.headers),
        ("needs", request.needs),
    ):
        yield from ((place, use, found) for place, use in uses_of(tree, f"{at}.{key}"))
    each_at = f"{at}.json[0]" if request.flat else f"{at}.each"
    yield from ((place, use, found) for place, use in uses_of(request.each, each_at))
    inside = frozenset({*found, "each"}) if request.each is not None else found
    yield from ((place, use, inside) for place, use in uses_of(request.body, f"{at}.{request.form}"))
    if request.then is not None:
        yield from _uses(request.then.request, f"{at}.then", then=True)


# -- parts ------------------------------------------------------------------------------------------------------------


def templates_by_name(draft: Draft, raw: Any, at: str, *, header: bool) -> dict[str, Any]:
    """`query`, `form` and `headers`: names with texts or numbers; in queries and forms also lists of them."""
    found = mapping(draft, raw, at, '{name: "{{ value }}"}')
    compiled: dict[str, Any] = {}
    for name, value in (found or {}).items():
        here = join(at, name)
        if header and not HEADER.fullmatch(name):
            draft.wrong(here, f"{shown(name)} is no header's name")
        if isinstance(value, dict) or value is None or (header and isinstance(value, list)):
            draft.wrong(here, f"must be a text or a number, this is {shown(value)}")
            continue
        if header and isinstance(value, str) and any(ord(char) < 32 or ord(char) > 126 for char in value):
            draft.wrong(here, "a header has no line breaks, and nothing but ASCII")
        compiled[name] = (
            leaf(value, here, draft.wrong, compile_text)
            if header and isinstance(value, str)
            else compile_tree(value, here, draft.wrong)
        )
    return compiled


def whole(draft: Draft, raw: Any, at: str, most: int) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= most:
        return raw
    draft.wrong(at, f"must be a whole number from 1 to {most:,}, this is {shown(raw)}")
    return 1
