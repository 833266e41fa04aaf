"""English: every phrase the words are made of, in one table. Another language is another `Language`.

A phrase says what its braces are; the code that fills them (`words_values`, `words_leaves`) knows no English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rules.language.documents import Segment


@dataclass(frozen=True, slots=True)
class Deed:
    """How an event is spoken of: "bought" · (did not) "buy" · "a purchase" · (the first) "purchase" · "purchases"."""

    did: str
    do: str
    a: str
    one: str
    many: str


@dataclass(frozen=True, slots=True)
class Language:
    phrases: Mapping[str, str]
    deeds: Mapping[str, Deed]  # by event type; `cart.add` is a cart event whose action is "add"

    def say(self, phrase: str, **parts: object) -> str:
        return self.phrases[phrase].format(**parts)

    def of(self, segment: Segment) -> Voice:
        """This language, speaking of one document."""
        return Voice(self.phrases, self.deeds, segment.timezone, segment.id)

    def custom(self, names: str) -> Deed:
        """The words for event types of the customers' own, given their names as a list."""
        plain = self.deeds[ANY_OTHER]
        return Deed(*(words.format(event=names) for words in (plain.did, plain.do, plain.a, plain.one, plain.many)))


@dataclass(frozen=True, slots=True)
class Voice(Language):
    """A language that speaks of one document: its timezone turns instants into dates, its id is the default salt."""

    timezone: str = "UTC"
    segment: str = ""


ANY_OTHER = "*"  # the words for event types that are not in the table; no event is called so
_DEEDS = {
    "purchase": Deed("bought", "buy", "a purchase", "purchase", "purchases"),
    "refund": Deed("got a refund", "get a refund", "a refund", "refund", "refunds"),
    "page_view": Deed("viewed a page", "view a page", "a page view", "page view", "page views"),
    "email_open": Deed("opened an e-mail", "open an e-mail", "an e-mail open", "e-mail open", "e-mail opens"),
    "email_click": Deed(
        "clicked in an e-mail", "click in an e-mail", "a click in an e-mail", "click in an e-mail", "clicks in e-mails"
    ),
    "cart": Deed("changed the cart", "change the cart", "a cart change", "cart change", "cart changes"),
    "cart.add": Deed(
        "added to the cart", "add to the cart", "an addition to the cart", "addition to the cart",
        "additions to the cart",
    ),
    "cart.remove": Deed(
        "took out of the cart", "take out of the cart", "a removal from the cart", "removal from the cart",
        "removals from the cart",
    ),
    "cart.checkout": Deed("went to the checkout", "go to the checkout", "a checkout", "checkout", "checkouts"),
    "cart.clear": Deed(
        "emptied the cart", "empty the cart", "an emptying of the cart", "emptying of the cart", "emptyings of the cart"
    ),
    "profile": Deed(
        "had the profile changed", "have the profile changed", "a profile change", "profile change", "profile changes"
    ),
    "membership": Deed(
        "got added or removed by hand", "get added or removed by hand", "a change by hand", "change by hand",
        "changes by hand",
    ),
    ANY_OTHER: Deed("did {event}", "do {event}", "an event {event}", "event {event}", "events {event}"),
}  # fmt: skip

_PHRASES = {
    # lists and values
    "event.name": "`{event}`",
    "list.comma": ", ",
    "list.and": "{first} and {last}",
    "list.or": "{first} or {last}",
    "value.text": '"{value}"',
    "value.true": "true",
    "value.false": "false",
    "value.many": "one of {count} values such as {some}",
    # lengths of time: `.one` where the count is 1
    "unit.s": "{n} seconds", "unit.s.one": "1 second", "unit.s.bare": "second",
    "unit.m": "{n} minutes", "unit.m.one": "1 minute", "unit.m.bare": "minute",
    "unit.h": "{n} hours", "unit.h.one": "1 hour", "unit.h.bare": "hour",
    "unit.d": "{n} days", "unit.d.one": "1 day", "unit.d.bare": "day",
    "unit.w": "{n} weeks", "unit.w.one": "1 week", "unit.w.bare": "week",
    "unit.mo": "{n} months", "unit.mo.one": "1 month", "unit.mo.bare": "month",
    "unit.y": "{n} years", "unit.y.one": "1 year", "unit.y.bare": "year",
    # windows
    "window.within": "in the last {within}",
    "window.before": "at least {before} ago",
    "window.band": "between {within} and {before} ago",
    "window.between": "from {start} until before {end}",
    "window.since": "since {start}",
    "window.until": "before {end}",
    "window.today": "today", "window.yesterday": "yesterday",
    "window.this_week": "this week", "window.last_week": "last week",
    "window.this_month": "this month", "window.last_month": "last month",
    "window.this_year": "this year",
    # an amount of something: "a total of ..."
    "amount.eq": "exactly {value}", "amount.ne": "anything but {value}",
    "amount.in": "{values}", "amount.not_in": "anything but {values}",
    "amount.gt": "more than {value}", "amount.gte": "at least {value}",
    "amount.lt": "less than {value}", "amount.lte": "at most {value}",
    "times.eq": "exactly {value} times", "times.eq.one": "exactly once",
    "times.ne": "any number of times but {value}", "times.ne.one": "any number of times but one",
    "times.in": "{values} times", "times.not_in": "any number of times but {values}",
    "times.gt": "more than {value} times", "times.gt.one": "more than once",
    "times.gte": "at least {value} times", "times.gte.one": "at least once",
    "times.lt": "fewer than {value} times",
    "times.lte": "at most {value} times", "times.lte.one": "at most once",
    # what is said of a value
    "is.eq": "is {value}", "is.ne": "is not {value}",
    "is.in": "is {values}", "is.not_in": "is not {values}",
    "is.gt": "is more than {value}", "is.gte": "is at least {value}",
    "is.lt": "is less than {value}", "is.lte": "is at most {value}",
    "is.gt.text": "sorts after {value}", "is.gte.text": "is or sorts after {value}",
    "is.lt.text": "sorts before {value}", "is.lte.text": "is or sorts before {value}",
    "is.contains": "contains {value}",
    "is.starts_with": "starts with {value}", "is.ends_with": "ends with {value}",
    "is.matches": "matches the pattern {value}",
    "is.exists": "is known", "is.missing": "is missing",
    "is.size": "has a length of {amount}",
    "is.in_last": "lies in the last {length}", "is.in_next": "lies in the next {length}",
    "is.anniversary_in_next": "has its anniversary within {length} from today",
    "is.age": "makes an age of {amount} years",
    # how long ago
    "ago.eq": "exactly {length} ago", "ago.ne": "not exactly {length} ago",
    "ago.gt": "more than {length} ago", "ago.gte": "at least {length} ago",
    "ago.lt": "less than {length} ago", "ago.lte": "at most {length} ago",
    # events: {what} is a deed with its filters, {when} a window (with a blank before it),  what follows
    "event.did": "{what}{times}{when}",
    "event.not": "did not {what}{times}{when}",
    "event.never": "never {what}",
    "event.filtered": "{what} ({filters})",
    "event.items": "with an item whose {filters}",
    "event.sum": "has a total {of} of {amount} over {what}{when}",
    "event.avg": "has an average {of} of {amount} over {what}{when}",
    "event.min": "has a smallest {of} of {amount} over {what}{when}",
    "event.max": "has a largest {of} of {amount} over {what}{when}",
    "event.distinct": "has {amount} different values of {of} over {what}{when}",
    "event.first": "{of} at the first {what}{when} {tests}",
    "event.last": "{of} at the last {what}{when} {tests}",
    "event.since_first": "first {what}{when} {ago}",
    "event.since_last": "last {what}{when} {ago}",
    # sequences
    "then.followed": "followed by {what}",
    "then.followed.within": "followed within {within} by {what}",
    "then.not_followed": "not followed by {what}",
    "then.not_followed.within": "not followed within {within} by {what}",
    "then.where": "{what} where {filters}",
    "then.same": "{path} is the same",
    "then.equal": "its {theirs} is the {ours} before",
    # pairs
    "side.count": "the number of {what}{when}",
    "side.sum": "the total {of} of {what}{when}",
    "side.avg": "the average {of} of {what}{when}",
    "side.min": "the smallest {of} of {what}{when}",
    "side.max": "the largest {of} of {what}{when}",
    "side.distinct": "the number of different {of} in {what}{when}",
    "pair.ratio": "{left} divided by {right} {tests}",
    "pair.difference": "{left} minus {right} {tests}",
    # other leaves
    "attribute": "{path} {tests}",
    "tag.one": "has the tag {tags}", "tag.one.not": "does not have the tag {tags}",
    "tag.any": "has the tag {tags}", "tag.all": "has the tags {tags}", "tag.none": "does not have the tag {tags}",
    "segment": "is in the segment {segment}", "segment.not": "is not in the segment {segment}",
    "segment.for": "has been in the segment {segment} for at least {length}",
    "segment.for.not": "has not been in the segment {segment} for at least {length}",
    "sample": "is in a fixed random {percent}% of the customers",
    "sample.not": "is not in a fixed random {percent}% of the customers",
    "sample.salt": "{sample} (drawn by {salt})",
    # logic
    "not": "not ({what})",
    "inner": "({what})",
    "and": "{first} and {last}", "or": "{first} or {last}",
    "at_least": "at least {n} of these: {list}", "at_least.comma": "; ",
    "heading.all": "all of these", "heading.any": "at least one of these", "heading.none": "none of these",
    "heading.not": "not", "heading.at_least": "at least {n} of these",
    # the document
    "exit": "leaves when: {what}",
    "hold.min_stay": "stays at least {length}",
    "hold.cooldown": "comes back no sooner than {length} after leaving",
    "timezone": "days and months are those of {timezone}",
    "list": "members are added by hand only",
}  # fmt: skip

ENGLISH = Language(_PHRASES, _DEEDS)
