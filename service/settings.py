"""Every setting of the service, with its unit and why it has its default. This file is the documentation.

A setting `http_port` is read from the environment as `SEGMENTD_HTTP_PORT`. Two keep the names everybody knows:
`REDIS_URL` and `KAFKA_BOOTSTRAP_SERVERS`. Limits of the language itself are no settings: see `rules/limits.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from consumers.outbound.addresses import Allowed
from consumers.webhooks.sealing import Seal, keys_of
from rules.limits import DAY_MS, EVENT_AGE_MS_MAX, SEGMENTS_MAX
from service.auth import Tokens, parse_tokens

KIB = 1024
MIB = 1024 * 1024


class Settings(BaseSettings):
    """Read once when a process starts; a bad value stops it there, naming the setting."""

    model_config = SettingsConfigDict(
        env_prefix="SEGMENTD_", frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    # -- where the data is -------------------------------------------------------------------------------------------
    data_dir: Path = Path(".segmentd")
    """Where the embedded Valkey keeps its append-only file. Used only without `REDIS_URL`."""

    redis_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    """Redis >= 7.2 or Valkey >= 8: one server, Sentinel or Cluster (`consumers/state/store_url.py` has the forms).
    May hold a password, so never shown. None: embedded."""

    redis_replicas_ack: int = Field(default=0, ge=0, le=10)
    """Replicas that must have a write on their disks before it is acknowledged, besides the server itself. With 0 a
    fail-over may roll the store back by its last writes; with Kafka that is repaired by reading the log again."""

    kafka_bootstrap_servers: str | None = Field(
        default=None, validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers")
    )
    """Apache Kafka >= 3.9. None: the log is Redis Streams on the same server as the state."""

    partitions: int | None = Field(default=None, ge=1, le=1024)
    """Partitions of the log; fixed once data exists (a customer's partition follows from it). None: what the log has,
    and for a new one 4 on Redis (each commits on its own, and small commits are dear) or 16 on Kafka."""

    # -- Kafka (with `KAFKA_BOOTSTRAP_SERVERS` only) ----------------------------------------------------------------
    events_topic: str = "segmentd.events"
    """The log. Made if it is not there; refused, with the command that mends it, if it is configured otherwise."""

    transitions_topic: str = "segment.transitions"
    """Where transitions are published; as many partitions as the log."""

    dead_letters_topic: str = "segmentd.dead-letters"
    """Where records go that cannot be taken, with the reason and their origin."""

    sources_file: Path | None = None
    """What `segmentd intake` reads, and how it reads it (docs/sources.md). None: the default sources. `--sources` goes
    before."""

    log_time: str = Field(default="append", pattern="^(append|create)$")
    """`append`: the broker stamps each record of the log. `create`: records carry their own time, for recorded logs and
    tests; then nothing happens by the clock alone before the next record."""

    evaluator_name: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,200}$")
    """A name of this evaluator's own, the same after a restart (a StatefulSet's pod name): it then takes its partitions
    up again, and a rolling restart moves little. Empty: a new one at each start."""

    session_timeout_seconds: float = Field(default=10.0, ge=1, le=300)
    """Seconds after which a silent evaluator's or intake's partitions go to the others. What brokers allow bounds it
    (`group.min.session.timeout.ms`: 6 s unless they say otherwise)."""

    outbox_transitions_max: int = Field(default=500_000, ge=1)
    """Transitions that may wait to be published, over all partitions of a process; then evaluation waits. Some 250 MB
    in the store."""

    kafka_security_protocol: str = Field(default="PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    """How brokers are spoken with, in Kafka's own words."""

    kafka_sasl_mechanism: str = Field(default="PLAIN", pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")
    """With SASL_PLAINTEXT and SASL_SSL."""

    kafka_sasl_username: str = ""
    """With SASL_PLAINTEXT and SASL_SSL."""

    kafka_sasl_password: SecretStr | None = None
    """With SASL_PLAINTEXT and SASL_SSL. Never shown."""

    kafka_ssl_cafile: Path | None = None
    """The authority that signed the brokers' certificates (PEM). None: those that the machine trusts."""

    # -- the HTTP server ---------------------------------------------------------------------------------------------
    http_host: str = "127.0.0.1"
    """Address to listen on. Without tokens the command line refuses anything but loopback."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    """TCP port to listen on; 0 takes a free one."""

    tokens: Annotated[Tokens, NoDecode] = Tokens(())
    """Bearer tokens with scopes: `token:ingest+read,other:manage`, or JSON `{"token": ["ingest", "read"]}`, also with
    the name of whoever has it: `{"token": {"name": "ana", "scopes": ["manage"]}}`. A token has at least 16 characters.
    Empty: no authorisation, loopback only."""

    body_bytes_max: int = Field(default=16 * MIB, ge=KIB)
    """Bytes of a request body as sent. 16 MiB is ~60,000 usual events: more than that gains nothing in a batch."""

    body_unpacked_bytes_max: int = Field(default=64 * MIB, ge=KIB)
    """Bytes of a gzip body once unpacked; a small body that unpacks without end is refused there."""

    events_per_request_max: int = Field(default=50_000, ge=1)
    """Events in one request; what is decoded is held in memory until the log has it."""

    import_bytes_max: int = Field(default=256 * MIB, ge=KIB)
    """Bytes of a CSV file of members, as sent and unpacked; some ten million rows. It is never held in memory."""

    imports_max: int = Field(default=4, ge=1)
    """Imports of members that one process reads at a time; one more gets 503."""

    wait_seconds_max: float = Field(default=30.0, ge=0)
    """Seconds that `Prefer: wait=n` may hold an answer; a longer wish is cut to this."""

    retry_after_seconds: int = Field(default=2, ge=1)
    """Seconds told in `Retry-After` when the log is away: about what a restart of the store takes."""

    shutdown_seconds: int = Field(default=10, ge=0)
    """Seconds that open requests get to end after SIGTERM; streams are closed at once."""

    # -- reads -------------------------------------------------------------------------------------------------------
    page_size_default: int = Field(default=100, ge=1)
    """Entries of a list when `limit` is not given."""

    page_size_max: int = Field(default=1000, ge=1)
    """Entries of a list at most; a greater `limit` is an error, so that nobody believes to have read all."""

    check_customers_max: int = Field(default=1000, ge=1)
    """Customers in one membership check."""

    check_cells_max: int = Field(default=100_000, ge=1)
    """Customers times segments in one membership check: about 2 MB of answer."""

    # -- the live feed -----------------------------------------------------------------------------------------------
    feed_heartbeat_seconds: float = Field(default=15.0, gt=0)
    """Seconds of silence after which a stream says a comment; proxies close what is silent for 30 to 60."""

    feed_batch: int = Field(default=500, ge=1)
    """Transitions read for one client at a time: what a slow client can hold in memory, and no more."""

    feed_clients_max: int = Field(default=200, ge=1)
    """Streams open at once; one more gets 503."""

    # -- segments and events -----------------------------------------------------------------------------------------
    segments_max: int = Field(default=SEGMENTS_MAX, ge=1)
    """Segments that may exist at once. The evaluator is measured up to 1,000."""

    event_age_max_days: int = Field(default=EVENT_AGE_MS_MAX // DAY_MS, ge=1, le=36_525)
    """Days back that an event's `ts` may lie when it is sent over HTTP: the archive's retention, by default ten years.
    What was once taken stays in when this changes."""

    # -- calls to addresses that others chose (webhooks, actions) ------------------------------------------------------
    outbound_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """What may be called besides the public internet, with commas between: networks (`10.1.0.0/16`) and host names
    (`crm.internal`), there also without TLS. Empty: nothing (docs/webhooks.md says why)."""

    outbound_ca_file: Path | None = None
    """Authorities (PEM) whose certificates stand beside those that the machine trusts."""

    outbound_timeout_seconds: float = Field(default=15.0, gt=0, le=300)
    """Seconds for the whole of a call, from the look-up of the name to the last byte of the answer."""

    connectors_dir: Path | None = None
    """Connectors of one's own, a document each (docs/connectors.md); one named as a packaged one is replaces it."""

    secrets_dir: Path | None = None
    """Where connectors find secrets, a file each with its name, as Docker and Kubernetes mount them. The environment's
    `SEGMENTD_SECRET_<NAME>` goes before. None: only there."""

    # -- webhooks ----------------------------------------------------------------------------------------------------
    subscriptions_max: int = Field(default=1000, ge=1)
    """Webhook subscriptions that may exist at once; every delivery process holds all of them in memory."""

    webhook_key: SecretStr | None = None
    """Encrypts the signing secrets of subscriptions where they lie in the store: at least 32 characters. Several with
    commas between: the first encrypts, all decrypt, so that it can be replaced. None: they lie there readable."""

    webhook_disable_after_days: float = Field(default=5.0, gt=0, le=365)
    """Days of nothing but failures after which a subscription is disabled. Longer than the retries of one item take
    (76 hours), so that a receiver may be away over a long weekend."""

    # -- the evaluator -----------------------------------------------------------------------------------------------
    batch_records_max: int = Field(default=5000, ge=1)
    """Records of one commit. Small commits cost most (500 instead of 5,000: +11 microseconds an event)."""

    gather_milliseconds: int | None = Field(default=None, ge=0, le=1000)
    """How long a busy evaluator lets records gather before it reads them: more of it is less CPU an event, and so much
    more latency. None: 10 on one server; 50 on Kafka, where a round asks more of everybody."""

    profiles_cached_max: int = Field(default=100_000, ge=1)
    """Decoded profiles that a process keeps in memory, over all its partitions: ~200 MB at 2 KB each."""

    # -- mail (`mail.send`: docs/mail.md) ------------------------------------------------------------------------------
    mail_host: str = ""
    """The mail server. Empty: mail is not set up, and actions that send it fail until it is."""

    mail_port: int = Field(default=0, ge=0, le=65535)
    """Its TCP port; 0 takes the usual one: 587 with `starttls`, 465 with `tls`, 25 with `none`."""

    mail_tls: Literal["starttls", "tls", "none"] = "starttls"
    """How it is spoken with. With `starttls` a server that does not offer it is not spoken with in the clear."""

    mail_ca_file: Path | None = None
    """The authority that signed its certificate (PEM). None: those that the machine trusts."""

    mail_user: str = ""
    """Who signs in there. Empty: nobody does."""

    mail_password: SecretStr | None = None
    """With `mail_user`, over TLS only. Never shown."""

    mail_from: str = ""
    """`Shop <hello@shop.example>`: who mails are from, unless a template says another."""

    mail_reply_to: str = ""
    """Where answers go. Empty: to the sender."""

    mail_return_path: str = ""
    """Where the mail server sends what could not be delivered. Empty: to the sender."""

    mail_list_domain: str = ""
    """The domain in `List-Id` (`<segment>.<domain>`). Empty: the sender's."""

    mail_public_url: str = ""
    """Where recipients reach this service, such as `https://segments.shop.example`: links to unsubscribe begin so."""

    mail_secret: SecretStr | None = None
    """Signs links to unsubscribe and hashes the addresses of those who get none: at least 32 characters. Several with
    commas between, the newest first: the first is used, all are recognised. One that is dropped is forgotten with all
    that was unsubscribed under it. Never shown."""

    mail_templates_dir: Path | None = None
    """Where templates are: `welcome.html.liquid`, `welcome.txt.liquid`, `welcome.yaml`. None: there are none."""

    mail_timeout_seconds: float = Field(default=30.0, gt=0, le=600)
    """Seconds that one answer of the mail server may take."""

    mail_connections: int = Field(default=4, ge=1, le=100)
    """Connections of one process to it: each sends one mail at a time. Many servers take ten of a client at most."""

    mail_messages_per_connection: int = Field(default=100, ge=1)
    """Mails over one connection, which is then made anew: most servers end it at some hundreds."""

    mail_per_second: float | None = Field(default=None, gt=0)
    """Mails that one process begins a second. None: as many as the server takes."""

    mail_hello: str = ""
    """The name by which this machine greets the mail server. Empty: its own."""

    # -- telling ------------------------------------------------------------------------------------------------------
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least severe log lines that are written."""

    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    """`json` lines, `console` for people, `auto`: console on a terminal, JSON elsewhere."""

    metrics_event_types_max: int = Field(default=100, ge=1)
    """Event types that get a label of their own; the rest count as `other`. Types are the senders' to name."""

    failpoint: str = Field(default="", pattern=r"^([A-Za-z0-9.]+(:[1-9][0-9]*)?)?$")
    """For tests of crashes only: `NAME` or `NAME:N` kills the process when it reaches that step (for the Nth time).
    The names are in docs/architecture.md."""

    @field_validator("tokens", mode="before")
    @classmethod
    def _parse_tokens(cls, value: object) -> Tokens:
        return value if isinstance(value, Tokens) else parse_tokens(value)

    @field_validator("outbound_allow", mode="before")
    @classmethod
    def _parse_allow(cls, value: object) -> tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError("networks and host names, with commas between")
        allow = tuple(part.strip() for part in parts if part.strip())
        Allowed(allow)  # refuses what is neither
        return allow

    @field_validator("webhook_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        Seal(keys_of(value))
        return value

    @property
    def event_age_ms_max(self) -> int:
        return self.event_age_max_days * DAY_MS
