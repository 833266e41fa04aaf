"""What a `REDIS_URL` says: which server, Sentinel or Cluster, and how each connection is made.

| form | what |
|---|---|
| `redis://[user:pass@]host[:port][/db]` | one server; a cluster is recognised and used as one |
| `unix://[user:pass@]/path/to/socket[?db=1]` | one server |
| `redis+sentinel://[user:pass@]host[:port],host[:port].../name[/db]` | the master that the Sentinels call `name` |
| `redis+cluster://[user:pass@]host[:port],host[:port]...` | a cluster: any of its nodes, several for when one is away |

`rediss` instead of `redis`: by TLS, Sentinels too. After `?`: `ssl_ca_certs` (file), `ssl_certfile`, `ssl_keyfile`,
`ssl_check_hostname` (`true`), `sentinel_username`, `sentinel_password`, `db`. Names and passwords are percent-encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0
"""Longer than any wait we ask of the server (`BLOCK_MS_MAX`, `DURABLE_MS_MAX`)."""
SENTINEL_TIMEOUT_S = 1.0
"""To connect and to answer: there are others to ask."""
_PORT, _SENTINEL_PORT = 6379, 26379
_SCHEMES: dict[str, Literal["single", "sentinel", "cluster"]] = {
    "redis": "single",
    "unix": "single",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_SSL_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = {*_SSL_OPTIONS, "ssl_check_hostname", "sentinel_username", "sentinel_password", "db"}


class Address(NamedTuple):
    """Where a server listens; a Unix socket's path is its `host`, and its port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True)
class Access:
    """How to connect: TLS (`ssl` its options, None: without), the ACL user, the database."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    ssl: dict[str, Any] | None = None
    timeout_s: float = ANSWER_TIMEOUT_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    def pool(self, address: Address, connections_max: int) -> BlockingConnectionPool:
        """Connections to `address`, made on first use; who finds all of them taken waits for one.

        Nothing is ever sent again, and no connection made twice: whoever calls knows whether that is right. Answers are
        timed by `Node`: the library's own timeout (`wait_for`) may swallow a cancellation.
        """
        options: dict[str, Any] = {
            "protocol": 2,
            "username": self.username,
            "password": self.password,
            "db": self.db,
            "socket_timeout": None,
            "socket_connect_timeout": self.connect_timeout_s,
            "retry": Retry(NoBackoff(), 0),
        }
        kind: type[Connection | UnixDomainSocketConnection] = Connection
        if not address.port:
            kind = UnixDomainSocketConnection
            options["path"] = address.host
        else:
            options |= {"host": address.host, "port": address.port, "socket_keepalive": True}
            if self.ssl is not None:
                kind = SSLConnection
                options |= self.ssl
        return BlockingConnectionPool(connections_max, self.timeout_s, kind, **options)


@dataclass(frozen=True)
class Target:
    """A URL, read. `addresses`: the server, the Sentinels, or some nodes. `master`: its name at the Sentinels."""

    kind: Literal["single", "sentinel", "cluster"]
    addresses: tuple[Address, ...]
    access: Access
    master: str = ""
    sentinels: Access = Access()


def read_url(url: str) -> Target:
    """ValueError says what is wrong with it, without telling any of it but the option's name."""
    parts = urlsplit(url)
    plain = parts.scheme.replace("rediss", "redis", 1)
    kind = _SCHEMES.get(plain)
    if kind is None:
        raise ValueError("begins with redis://, unix://, redis+sentinel:// or redis+cluster:// (rediss for TLS)")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - _OPTIONS):
        raise ValueError(f"has no option {unknown[0]}; there are {', '.join(sorted(_OPTIONS))}")
    tls = plain != parts.scheme
    if not tls and any(name.startswith("ssl_") for name in options):
        raise ValueError("has options of TLS: then it begins with rediss")
    user, _, hosts = parts.netloc.rpartition("@")
    username, _, password = user.partition(":")
    master, db = _path(kind, plain, parts, options)
    ssl = _ssl(options) if tls else None
    access = Access(unquote(username) or None, unquote(password) or None, db, ssl)
    sentinels = Access(
        options.get("sentinel_username") or None,
        options.get("sentinel_password") or None,
        0,
        ssl,
        SENTINEL_TIMEOUT_S,
        SENTINEL_TIMEOUT_S,
    )
    if plain == "unix":
        return Target(kind, (Address(unquote(parts.path), 0),), access)
    port = _SENTINEL_PORT if kind == "sentinel" else _PORT
    addresses = tuple(_address(host, port) for host in hosts.split(","))
    if kind == "single" and len(addresses) > 1:
        raise ValueError("names several servers: then it begins with redis+sentinel:// or redis+cluster://")
    return Target(kind, addresses, access, master, sentinels)


def _path(kind: str, plain: str, parts: SplitResult, options: dict[str, str]) -> tuple[str, int]:
    """The master's name, and the number of the database."""
    master, text = "", options.get("db", "")
    if plain == "unix":
        if not parts.path:
            raise ValueError("names no socket: unix:///path/to/socket")
    else:
        steps = unquote(parts.path).strip("/").split("/")
        if kind == "sentinel":
            master = steps.pop(0)
            if not master:
                raise ValueError("names no master: redis+sentinel://host:26379/master-name")
        text = "/".join(steps) or text
    if text and not text.isdecimal():
        raise ValueError("has a database that is no number")
    if kind == "cluster" and int(text or 0):
        raise ValueError("names a database: a cluster has only the first")
    return master, int(text or 0)


def _address(text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        return Address(parts.hostname or "localhost", parts.port or port)
    except ValueError:
        raise ValueError("has a port that is no number from 1 to 65535") from None


def _ssl(options: dict[str, str]) -> dict[str, Any]:
    check = options.get("ssl_check_hostname", "true").lower()
    if check not in ("true", "false"):
        raise ValueError("has an ssl_check_hostname that is neither true nor false")
    files = {name: options[name] for name in _SSL_OPTIONS if options.get(name)}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": check == "true", **files}
