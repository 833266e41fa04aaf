"""The AsyncAPI 3.1 document: topics and webhooks, out of the code's own names, headers and bounds.

Names of topics are the defaults of their settings; a service may call them otherwise.
"""

from __future__ import annotations

from typing import Any

from consumers.intake.sources import DEFAULT_TOPICS
from consumers.log.kafka.dead_letters import KEPT_MS
from consumers.relay.headers import COMMIT, CONTENT_TYPE, NUMBER
from consumers.webhooks.target import BODY_BYTES_MAX
from rules.limits import DAY_MS
from service.api.schemas import CUSTOMER_ID, SCHEMAS, TRACEPARENT
from service.examples import CLOUD_EVENT, EVENT
from service.settings import Settings

_KAFKA = "0.5.0"  # of the bindings
_HTTP = "0.3.0"
Part = dict[str, Any]


def asyncapi(version: str) -> Part:
    """The document, as YAML and JSON can say it."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "segmentd",
            "version": version,
            "description": "What goes in and out beside calls (`openapi.json`): topics of Apache Kafka, and webhooks.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "`KAFKA_BOOTSTRAP_SERVERS`. Without it the log is in the store: no topics.",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": SCHEMAS},
    }


# -- channels ---------------------------------------------------------------------------------------------------------


def _channels() -> dict[str, Part]:
    found = {
        "events": _topic(
            _default("events_topic"),
            "event",
            "The log: whatever can change a membership. Keyed by customer, murmur2, stamped by the broker.",
        ),
        "transitions": _topic(
            _default("transitions_topic"),
            "transition",
            "Who entered and left. As many partitions as the log; read it with `isolation.level=read_committed`.",
        ),
        "deadLetters": _topic(
            _default("dead_letters_topic"),
            "deadLetter",
            f"Records that could not be taken, as they came. Kept {KEPT_MS // DAY_MS} days. Taken back in: a `mark`.",
        ),
    }
    found["deadLetters"]["messages"]["mark"] = {"$ref": "#/components/messages/mark"}
    for topic in DEFAULT_TOPICS:
        about = "A source: read where it exists, any partitions, any key. Others: a `sources` file."
        found[_channel_of(topic)] = _topic(topic, "event", about)
    found["webhooks"] = {
        "address": None,  # each subscription has its own
        "title": "Webhooks",
        "description": "The address of a subscription (`/v1/subscriptions`), by Standard Webhooks 1.0.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ("webhook", "notice")},
    }
    return found


def _topic(name: str, message: str, description: str) -> Part:
    return {
        "address": name,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": name, "bindingVersion": _KAFKA}},
    }


def _channel_of(topic: str) -> str:
    """`events.page_view` -> `pageViews`, as operations and channels are called."""
    first, *rest = topic.removeprefix("events.").split("_")
    return first + "".join(each.title() for each in rest) + "Source"


def _default(setting: str) -> str:
    found = Settings.model_fields[setting].default
    assert isinstance(found, str)
    return found


# -- operations -------------------------------------------------------------------------------------------------------


def _operations() -> dict[str, Part]:
    found = {
        "readEvents": _operation("receive", "events", "The evaluator reads; whoever likes writes."),
        "publishTransitions": _operation("send", "transitions", "Each once, in its customer's order."),
        "putDeadLetters": _operation("send", "deadLetters", "`segmentd dlq` lists them and takes them back."),
    }
    for topic in DEFAULT_TOPICS:
        channel = _channel_of(topic)
        found[f"read{channel[0].upper()}{channel[1:]}"] = _operation("receive", channel, "`segmentd intake` reads.")
    found["deliver"] = _operation(
        "send", "webhooks", "At least once, in order per customer; tried again for 76 hours; 2xx takes it, 410 ends it."
    ) | {"bindings": {"http": {"method": "POST", "bindingVersion": _HTTP}}}
    return found


def _operation(action: str, channel: str, summary: str) -> Part:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


# -- messages ---------------------------------------------------------------------------------------------------------


def _messages() -> dict[str, Part]:
    return {
        "event": _message("Event", "Event", EVENT)
        | _headers({"traceparent": TRACEPARENT}, [])
        | {"bindings": {"kafka": {"key": CUSTOMER_ID, "bindingVersion": _KAFKA}}},
        "transition": _message("Transition", "Transition", CLOUD_EVENT)
        | {"contentType": CONTENT_TYPE.decode()}
        | _headers(
            {
                "content-type": {"const": CONTENT_TYPE.decode()},
                NUMBER: _digits("Counts the partition's transitions, from 1, without gaps."),
                COMMIT: {
                    "type": "string",
                    "pattern": r"^\d+:\d+:-?\d+$",
                    "description": "Where it comes from: the commit, its place in it, the position in the log.",
                },
                "traceparent": TRACEPARENT,
            },
            ["content-type", NUMBER, COMMIT],
        )
        | {"bindings": {"kafka": {"key": CUSTOMER_ID, "bindingVersion": _KAFKA}}},
        "deadLetter": {"title": "Dead letter", "summary": "Value and key are the bytes as they came."}
        | {"contentType": "application/octet-stream"}
        | _headers(
            {
                "reason": {"type": "string", "description": "What is wrong, and where."},
                "origin": {
                    "type": "string",
                    "pattern": r"^.+:\d+:-?\d+@-?\d+$",
                    "description": "`topic:partition:offset@timestamp` in ms.",
                },
                "source": {"type": "string", "description": "The source's name."},
                "cut-bytes": _digits("What was too large: how many bytes it had."),
                "traceparent": TRACEPARENT,
            },
            ["reason", "origin", "source"],
        ),
        "mark": {
            "title": "Taken back",
            "summary": "No value: a letter of this partition was taken back in.",
        }
        | _headers({"taken-back": _digits("The letter's offset.")}, ["taken-back"]),
        "webhook": _message("Transition, to a webhook", "Transition", CLOUD_EVENT)
        | {"summary": f"Less than {BODY_BYTES_MAX:,} bytes."}
        | _signed(),
        "notice": _message("Notice, to a webhook", "Notice", None) | _signed(),
    }


def _message(title: str, schema: str, example: Any) -> Part:
    found: Part = {"title": title, "payload": {"$ref": f"#/components/schemas/{schema}"}}
    return found if example is None else found | {"examples": [{"payload": example}]}


def _headers(properties: Part, required: list[str]) -> Part:
    return {"headers": {"type": "object", "properties": properties, "required": required}}


def _digits(description: str) -> Part:
    return {"type": "string", "pattern": r"^\d+$", "description": description}


def _signed() -> Part:
    """Of Standard Webhooks; in lower case, though HTTP does not mind."""
    return _headers(
        {
            "content-type": {"const": "application/json"},
            "webhook-id": {
                "type": "string",
                "pattern": r"^[^.]{1,300}$",
                "description": "The event's id, percent-encoded: the same at every attempt. Know it again by it.",
            },
            "webhook-timestamp": _digits("Of this attempt, in seconds. Refuse what is older than five minutes."),
            "webhook-signature": {
                "type": "string",
                "pattern": r"^v1a?,\S+( v1a?,\S+)*$",
                "description": "Of `<webhook-id>.<webhook-timestamp>.<body>`: `v1` HMAC-SHA256, `v1a` ed25519.",
            },
        },
        ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"],
    )
