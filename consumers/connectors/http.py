"""A connector that is a document: renders its calls, makes them over HTTP, and says how each ended.

1. Every customer's request is rendered; who cannot be put into words is refused (or fails, where only a secret or a
   setting is missing).
2. Requests that differ in their elements only go in one, up to the call's batch.
3. Each waits for its turn (`pace.py`), is sent with its key, and its answer is judged (`answers.py`).
4. A batch that is refused because of some is sent again without them; because of somebody unnamed, in halves, as long
   as there are requests left for it.
5. `then`: what the first answer names is sent on in further requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from consumers.clock import SYSTEM_CLOCK, Clock
from consumers.connectors.answers import Verdict, found_in, judge, shortened
from consumers.connectors.checks import check_with
from consumers.connectors.credentials import Caller, Credentials, Proof, TokenFailed, signature
from consumers.connectors.documents import Document, Request, Then
from consumers.connectors.filters import OMIT
from consumers.connectors.pace import NotYet, Pace
from consumers.connectors.port import Rendered, RenderFailed, Subject
from consumers.connectors.requests import (
    NotNeeded,
    Prepared,
    Variables,
    address,
    header_value,
    idempotency_key,
    prepare,
    put_header,
    together,
    with_query,
)
from consumers.connectors.secrets import Secrets, SecretsView, SettingsView
from consumers.connectors.templates import Template
from consumers.connectors.trees import compile_tree, render_text, render_tree
from consumers.connectors.variables import of_subject
from consumers.delivery.port import Done, Dropped, Failed, Later, Outcome, Refused
from consumers.outbound.client import Answer
from consumers.outbound.errors import OutboundFailed, OutboundRefused
from rules.errors import Mistake

AT_ONCE = 100  # customers put into words before others get a turn: some 10 ms
FOUND_MAX = 1000  # things that a `then` goes on with
ANSWER_BYTES_MAX = 16 * 1024 * 1024  # of answers that name things: 500 whole members of Mailchimp are some 2 MB
WORDS_AT_A_TIME = 100  # customers of a batch, some 10 ms; then whoever else the loop serves has a turn
SPLIT_REQUESTS_MAX = 64  # for one batch that is refused because of some; who is left then fails, and comes again
_AGENT = "segmentd"


class HttpConnector:
    """The port of a document. `caller`: who makes requests; shared with others, so it is not closed here."""

    def __init__(
        self,
        document: Document,
        caller: Caller,
        secrets: Secrets,
        clock: Clock = SYSTEM_CLOCK,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.document = document
        self._caller = caller
        self._secrets = secrets
        self._clock = clock
        self._settings = SettingsView(document.name, document.settings, environment)
        self._credentials = Credentials(document.auth, caller, secrets, clock)
        self._pace = Pace(document.limits.per_second, document.limits.concurrency, clock)

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def calls(self) -> Sequence[str]:
        return self.document.call_names

    def batch_max(self, call: str) -> int:
        found = self.document.calls.get(call)
        return found.add.batch_max if found else 1

    def concurrency(self, call: str) -> int:
        return self.document.limits.concurrency

    def check(self, call: str, with_: Mapping[str, Any], at: str, *, both_ways: bool = False) -> list[Mistake]:
        return check_with(self.name, self.document.calls[call], with_, at, both_ways=both_ways)

    async def close(self) -> None:
        """Nothing of its own is open."""

    # -- calls --------------------------------------------------------------------------------------------------------

    async def call(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Outcome]:
        outcomes: dict[int, Outcome] = {}
        prepared: list[Prepared] = []
        tree = self._with(with_)
        for place, (subject, key) in enumerate(zip(subjects, keys, strict=True)):
            if place % WORDS_AT_A_TIME == WORDS_AT_A_TIME - 1:
                await asyncio.sleep(0)
            try:
                prepared.append(self._prepare(call, tree, subject, key, place, shown=False))
            except RenderFailed as error:
                outcomes[place] = _unsaid(error, self._secrets)
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        await asyncio.gather(*(self._send(each, keys, outcomes) for each in together(prepared)))
        return [outcomes[place] for place in range(len(subjects))]

    def render(
        self, call: str, with_: Mapping[str, Any], subjects: Sequence[Subject], keys: Sequence[str]
    ) -> Sequence[Rendered]:
        tree = self._with(with_)
        prepared = [
            self._prepare(call, tree, subject, key, place, shown=True)
            for place, (subject, key) in enumerate(zip(subjects, keys, strict=True))
        ]
        return [self._shown(each, subjects, keys) for each in together(prepared)]

    def _shown(self, prepared: Prepared, subjects: Sequence[Subject], keys: Sequence[str]) -> Rendered:
        body = prepared.body()
        proof = self._credentials.shown(prepared.variables)
        key = idempotency_key([keys[place] for place in prepared.places])
        headers = self._headers(prepared, proof, key, body, shown=True)
        return Rendered(
            method=prepared.request.method,
            url=self._secrets.mask(_url(prepared, proof)),
            headers={name: self._secrets.mask(value) for name, value in headers.items()},
            body=self._secrets.mask((body or b"").decode()),
            customers=[str(subjects[place].customer["id"]) for place in prepared.places],
        )

    # -- 1. words -----------------------------------------------------------------------------------------------------

    def _with(self, with_: Mapping[str, Any]) -> Any:
        wrong: list[str] = []
        tree = compile_tree(dict(with_), "with", lambda at, message: wrong.append(f"{at}: {message}"))
        return wrong[0] if wrong else tree

    def _prepare(self, call: str, with_: Any, subject: Subject, key: str, place: int, *, shown: bool) -> Prepared:
        if isinstance(with_, str):
            raise RenderFailed(with_)
        found = self.document.calls.get(call)
        if found is None:
            raise RenderFailed(f"`{self.name}` has no call `{call}`")
        request = found.remove if subject.direction == "remove" else found.add
        if request is None:
            raise RenderFailed(f"`{self.name}.{call}` cannot take back what it did")
        now_ms = self._clock.now_ms()
        own = of_subject(subject, key, now_ms)
        parameters = render_tree(with_, own)
        variables = {**parameters, **own, **self._of_the_connector(shown)}
        return prepare(request, self._base(variables), variables, place)

    def _of_the_connector(self, shown: bool) -> dict[str, Any]:
        return {"settings": self._settings, "secrets": SecretsView(self._secrets, shown)}

    def _base(self, variables: Variables) -> str:
        """The setting `base` goes before the document's: for sandboxes, proxies and tests."""
        other = self._settings.get("base")
        if isinstance(other, str):
            return other
        base = self.document.base
        return address(base, variables) if isinstance(base, Template) else base

    def _headers(
        self, prepared: Prepared, proof: Proof, key: str, body: bytes | None, *, shown: bool = False
    ) -> dict[str, str]:
        """All headers; of one name the later stands. Raises RenderFailed."""
        request = prepared.request
        headers = {"Accept": "application/json", "User-Agent": _AGENT}
        if body is not None:
            kind = "application/json" if request.form == "json" else "application/x-www-form-urlencoded"
            headers["Content-Type"] = kind
        for name, tree in self.document.headers.items():
            if (text := render_text(tree, prepared.variables, f"the header {name}")) is not None:
                put_header(headers, name, header_value(name, text))
        for name, text in prepared.headers:
            put_header(headers, name, text)
        for name, text in proof.headers.items():
            put_header(headers, name, text)
        if request.method != "GET":
            put_header(headers, "Idempotency-Key", key)
            for name, text in self._signature(prepared.variables, key, body or b"", shown).items():
                put_header(headers, name, text)
        return headers

    def _signature(self, variables: Variables, key: str, body: bytes, shown: bool) -> dict[str, str]:
        sign = self.document.sign
        value = sign.value(variables) if isinstance(sign, Template) else sign
        if value is None or value is OMIT:
            return {}
        return signature(str(value), key, self._clock.now_ms() // 1000, body, shown)

    # -- 3. and 4. sending --------------------------------------------------------------------------------------------

    async def _send(
        self, prepared: Prepared, keys: Sequence[str], outcomes: dict[int, Outcome], asked: list[int] | None = None
    ) -> None:
        asked = asked if asked is not None else [0]
        if asked[0] >= SPLIT_REQUESTS_MAX:
            outcomes.update(
                dict.fromkeys(prepared.places, Failed("the batch was refused, and not said because of whom"))
            )
            return
        asked[0] += 1
        verdict = await self._asked(prepared, idempotency_key([keys[place] for place in prepared.places]))
        if verdict.undecided and len(prepared.places) > 1:
            rest = [number for number in range(len(prepared.places)) if number not in verdict.some]
            for number, outcome in verdict.some.items():
                outcomes[prepared.places[number]] = outcome
            again = (prepared.only(rest),) if verdict.some else prepared.halves()
            for part in again:
                if part.places:
                    await self._send(part, keys, outcomes, asked)
            return
        for number, place in enumerate(prepared.places):
            outcomes[place] = verdict.some.get(number, verdict.all)
        if prepared.request.then is not None and isinstance(verdict.all, Done):
            [place] = prepared.places
            outcomes[place] = await self._then(prepared.request.then, prepared, verdict.data, keys[place])

    async def _asked(self, prepared: Prepared, key: str) -> Verdict:
        """One request and what its answer means; a token that was not accepted is renewed once."""
        try:
            answer, proof = await self._answer(prepared, key)
            if answer.status == 401 and self._credentials.renews:
                self._credentials.forget(proof)
                answer, _ = await self._answer(prepared, key)
        except RenderFailed as error:
            return Verdict(_unsaid(error, self._secrets), {})
        except NotYet as wait:
            at_ms = self._clock.now_ms() + int(wait.seconds * 1000)
            return Verdict(Later(at_ms, f"{self.name} takes no more calls just now"), {})
        except OutboundRefused as error:
            return Verdict(Refused(shortened(str(error), self._secrets)), {})
        except (OutboundFailed, TokenFailed) as error:
            return Verdict(Failed(shortened(str(error), self._secrets)), {})
        rules, now_ms = prepared.request.answer, self._clock.now_ms()
        followed = prepared.request.then is not None
        verdict = judge(rules, answer, prepared.elements, self._secrets, now_ms, followed=followed)
        if verdict.pause_s:
            self._pace.hold(verdict.pause_s)
        return verdict

    async def _answer(self, prepared: Prepared, key: str) -> tuple[Answer, Proof]:
        body = prepared.body()
        many = len(prepared.places) > 1 or prepared.request.then is not None
        async with self._pace.turn():
            proof = await self._credentials.proof(prepared.variables)
            answer = await self._caller.request(
                prepared.request.method,
                _url(prepared, proof),
                headers=self._headers(prepared, proof, key, body),
                body=body,
                answer_bytes_max=ANSWER_BYTES_MAX if many else None,
            )
        return answer, proof

    # -- 5. then ------------------------------------------------------------------------------------------------------

    async def _then(self, then: Then, first: Prepared, data: Any, key: str) -> Outcome:
        things = found_in(then.found, data)[:FOUND_MAX]
        if not things:
            return Done("there was nothing to do")
        try:
            prepared = [self._further(then.request, first.variables, thing, n) for n, thing in enumerate(things)]
        except RenderFailed as error:
            return _unsaid(error, self._secrets)
        outcomes: dict[int, Outcome] = {}
        keys = [f"{key}/{number}" for number in range(len(things))]
        for part in together(prepared):
            await self._send(part, keys, outcomes)
        return _worst([outcomes[number] for number in range(len(things))])

    def _further(self, request: Request, variables: Variables, thing: Any, number: int) -> Prepared:
        inner = {**variables, "found": thing}
        return prepare(request, self._base(inner), inner, number)


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several requests for one customer: what failed is tried again with the rest, so it goes before a refusal."""
    for kind in (Later, Failed, Refused):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                return outcome
    return Done(f"{len(outcomes)} done", next((each.status for each in outcomes if isinstance(each, Done)), 0))


def _unsaid(error: RenderFailed, secrets: Secrets) -> Outcome:
    why = shortened(error.why, secrets)
    if isinstance(error, NotNeeded):
        return Dropped(why)
    return Failed(why) if error.mendable else Refused(why)


def _url(prepared: Prepared, proof: Proof) -> str:
    return with_query(prepared.url, [*prepared.query, *proof.query.items()])
