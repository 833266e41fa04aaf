"""A connector's document, read: frozen, checked, its templates compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from jmespath.parser import ParsedResult

from consumers.connectors.templates import Template

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
AuthKind = Literal["bearer", "basic", "header", "query", "oauth"]
TEMPLATES = Any  # JSON whose texts may be templates: `trees.py`


@dataclass(frozen=True, slots=True)
class Failures:
    """How an answer names the elements of a batch that were not taken.

    `found`: the list of them in the answer. An entry names its element by a field that both have (`by`), or by its
    number in the batch (`place`: the number itself, or a path with it, `members[3].email`). `error`: its words;
    `again`: of those that may go better another time. `count`: how many were not taken, where none is named.
    """

    found: ParsedResult | None
    by: ParsedResult | None
    place: ParsedResult | None
    error: ParsedResult | None
    again: frozenset[str] = frozenset()
    count: ParsedResult | None = None


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How an answer is read beyond its status.

    `taken`: must come to true where the status is 2xx. `error`: finds the words of an error, `code` what it is called
    (without it, the words). `again`: codes that may go better another time; `wait_s`: how long no call is made then.
    `statuses_ok`: not 2xx, and fine all the same; `statuses_again`: 4xx to be tried again. `failures`: of batches.
    `splits`: whether a batch that was refused because of nobody named is sent again in halves.
    """

    taken: ParsedResult | None = None
    error: ParsedResult | None = None
    code: ParsedResult | None = None
    again: frozenset[str] = frozenset()
    wait_s: float = 0.0
    splits: bool = True
    statuses_ok: frozenset[int] = frozenset()
    statuses_again: frozenset[int] = frozenset()
    failures: Failures | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request's template. `each`: of one element, where many customers go in one request; `body` then holds
    `{{ each }}`, and nothing else where it is `flat`. `batch_max`: customers in one request. `needs`: what a customer
    is left out without, unless one of it comes to something: words for people to templates."""

    method: Method
    url: Template | str
    query: Mapping[str, TEMPLATES] = field(default_factory=dict)
    headers: Mapping[str, TEMPLATES] = field(default_factory=dict)
    form: Literal["json", "form"] | None = None
    body: TEMPLATES = None
    each: TEMPLATES = None
    flat: bool = False
    batch_max: int = 1
    needs: Mapping[str, TEMPLATES] = field(default_factory=dict)
    answer: AnswerRules = AnswerRules()
    then: Then | None = None


@dataclass(frozen=True, slots=True)
class Then:
    """A second request, for everything that `found` finds in the answer to the first. Its templates see each as
    `found`; with `request.each`, up to `batch_max` of them go in one."""

    found: ParsedResult
    request: Request


class Parameter(NamedTuple):
    """One key of an action's `with`. `about`: what it is for. `needed`: there is no doing without it; `needed_back`:
    not for taking back what was done, that is for `on: member`."""

    about: str
    needed: bool
    needed_back: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`remove` is None where the call knows no direction; then `add` is all there is to it."""

    name: str
    about: str
    parameters: Mapping[str, Parameter]
    add: Request
    remove: Request | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """How calls prove who they are. `values`: bearer `{"token"}`, basic `{"user", "password"}`, header and query
    their names, oauth the token endpoint's form; `url`: of that endpoint."""

    kind: AuthKind
    values: Mapping[str, TEMPLATES]
    url: Template | str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one process. `per_second`: requests begun a second, None for no bound; `concurrency`: open at once;
    `batch`: customers in one request, unless the call says its own."""

    per_second: float | None = None
    concurrency: int = 8
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """The whole connector. `source`: where it was read, for messages."""

    name: str
    about: str
    base: Template | str
    auth: Auth | None
    sign: Template | str | None
    headers: Mapping[str, TEMPLATES]
    settings: Mapping[str, Any]
    limits: Limits
    calls: Mapping[str, Call]
    source: str = ""

    @property
    def call_names(self) -> Sequence[str]:
        return list(self.calls)
