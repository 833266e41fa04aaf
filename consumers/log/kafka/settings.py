"""Where Kafka is, how to speak with it, and how the log's topic is to be."""

from __future__ import annotations

import ssl
from typing import Any, Literal

import msgspec

REQUEST_MS = 10_000  # until a broker that does not answer counts as away
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PARTITIONS = 16
_DAY_MS = 86_400_000


class KafkaSettings(msgspec.Struct, frozen=True):
    """ValueError when they contradict each other. `repr` does not tell the password."""

    bootstrap_servers: str
    events_topic: str = "segmentd.events"
    partitions: int | None = None
    """None: as many as the topic has, and 16 when it is made. Otherwise a topic with another number is refused."""

    log_time: Literal["append", "create"] = "append"
    """`create`: the records carry their own time (a recorded log, tests): then nobody asks the log what time it is."""

    retention_ms: int = 30 * _DAY_MS
    """Of a topic that is made here with log_time `append`; one with `create` keeps everything, for its records are as
    old as their own time says. An existing topic's retention is its operators' business."""

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_cafile: str = ""
    """The authority that signed the brokers' certificates; "": those that the machine trusts."""

    def __post_init__(self) -> None:
        if self.security_protocol not in _PROTOCOLS:
            raise ValueError(f"the security protocol is one of {', '.join(_PROTOCOLS)}, not {self.security_protocol}")
        if "SASL" in self.security_protocol:
            if self.sasl_mechanism not in _MECHANISMS:
                raise ValueError(f"the SASL mechanism is one of {', '.join(_MECHANISMS)}, not {self.sasl_mechanism}")
            if not (self.sasl_username and self.sasl_password):
                raise ValueError(f"{self.security_protocol} needs a user name and a password")

    def __repr__(self) -> str:
        return f"KafkaSettings({self.bootstrap_servers}, {self.security_protocol}, {self.events_topic})"

    def connection(self, client: str, request_ms: int = REQUEST_MS) -> dict[str, Any]:
        """The arguments with which every aiokafka client of the service is made (consumer, producer, admin).

        `client` is the name by which the brokers' own logs and quotas know it.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": f"segmentd-{client}",
            "security_protocol": self.security_protocol,
            "request_timeout_ms": request_ms,
            "metadata_max_age_ms": 60_000,
        }
        if "SSL" in self.security_protocol.split("_"):
            arguments["ssl_context"] = ssl.create_default_context(cafile=self.ssl_cafile or None)
        if "SASL" in self.security_protocol:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = self.sasl_password
        return arguments
