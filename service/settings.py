"""Every setting of the service, with its unit and why it has its default. This file is the documentation.

A setting `http_port` is read from the environment as `SEGMENTD_HTTP_PORT`. Two keep the names everybody knows:
`REDIS_URL` and `KAFKA_BOOTSTRAP_SERVERS`. Limits of the language itself are no settings: see `rules/limits.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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
    """Redis >= 7.2 or Valkey >= 8 (`redis://`, `rediss://`). May hold a password, so never shown. None: embedded."""

    kafka_bootstrap_servers: str | None = Field(
        default=None, validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers")
    )
    """Apache Kafka >= 3.9. None: the log is Redis Streams on the same server as the state."""

    partitions: int = Field(default=4, ge=1, le=1024)
    """Partitions of the log; fixed once data exists (a customer's partition follows from it). Each commits on its own,
    and small commits are dear: one process needs few."""

    # -- the HTTP server ---------------------------------------------------------------------------------------------
    http_host: str = "127.0.0.1"
    """Address to listen on. Without tokens the command line refuses anything but loopback."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    """TCP port to listen on; 0 takes a free one."""

    tokens: Annotated[Tokens, NoDecode] = Tokens(())
    """Bearer tokens with scopes: `token:ingest+read,other:manage`, or JSON `{"token": ["ingest", "read"]}`. A token has
    at least 16 characters. Empty: no authorisation, loopback only."""

    body_bytes_max: int = Field(default=16 * MIB, ge=KIB)
    """Bytes of a request body as sent. 16 MiB is ~60,000 usual events: more than that gains nothing in a batch."""

    body_unpacked_bytes_max: int = Field(default=64 * MIB, ge=KIB)
    """Bytes of a gzip body once unpacked; a small body that unpacks without end is refused there."""

    events_per_request_max: int = Field(default=50_000, ge=1)
    """Events in one request; what is decoded is held in memory until the log has it."""

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

    # -- the evaluator -----------------------------------------------------------------------------------------------
    batch_records_max: int = Field(default=5000, ge=1)
    """Records of one commit. Small commits cost most (500 instead of 5,000: +11 microseconds an event)."""

    profiles_cached_max: int = Field(default=100_000, ge=1)
    """Decoded profiles that a process keeps in memory, over all its partitions: ~200 MB at 2 KB each."""

    # -- telling ------------------------------------------------------------------------------------------------------
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least severe log lines that are written."""

    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    """`json` lines, `console` for people, `auto`: console on a terminal, JSON elsewhere."""

    metrics_event_types_max: int = Field(default=100, ge=1)
    """Event types that get a label of their own; the rest count as `other`. Types are the senders' to name."""

    @field_validator("tokens", mode="before")
    @classmethod
    def _parse_tokens(cls, value: object) -> Tokens:
        return value if isinstance(value, Tokens) else parse_tokens(value)

    @property
    def event_age_ms_max(self) -> int:
        return self.event_age_max_days * DAY_MS
