"""The client against good servers and against others: bounded time, bounded memory, one kind of error."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import threading
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from consumers.outbound import Outbound, OutboundFailed, OutboundRefused
from tests.consumers.outbound.servers import OK, Authority, Behave, ok, read_request, server

KIB, MIB = 1024, 1024 * 1024
SHORT_S = 0.5  # given to a call that would go on for ever
NAME = "hooks.example.com"


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(["127.0.0.0/8"], timeout_s=20)
    yield made
    await made.close()


async def post(outbound: Outbound, port: int, timeout_s: float | None = None, path: str = "/hook") -> int:
    answer = await outbound.request(
        "POST", f"http://127.0.0.1:{port}{path}", headers={"a": "b"}, body=b"{}", timeout_s=timeout_s
    )
    return answer.status


async def test_a_call_says_what_it_was_given_and_gives_what_came_back(outbound: Outbound) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\nyes!")

    async with server(behave) as port:
        answer = await outbound.request(
            "POST", f"http://127.0.0.1:{port}/a?b=%20c", headers={"Content-Type": "application/json"}, body=b'{"d":1}'
        )
    assert (answer.status, answer.body, answer.cut, answer.headers["x-a"]) == (201, b"yes!", False, "1, 2")
    [(first, headers, body)] = seen
    assert (first, body) == ("POST /a?b=%20c HTTP/1.1", b'{"d":1}')
    assert headers == {
        "host": f"127.0.0.1:{port}",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
    }


async def test_a_connection_is_used_again_and_made_again_when_the_server_closed_it(outbound: Outbound) -> None:
    connections = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):  # then it closes without a word, as servers do that restart
            await read_request(reader)
            writer.write(OK)
            await writer.drain()

    async with server(behave) as port:
        assert [await post(outbound, port) for _ in range(3)] == [200] * 3
        assert connections == 1
        assert [await post(outbound, port) for _ in range(4)] == [200] * 4
        assert connections == 3


async def test_a_server_that_closes_every_kept_connection_at_the_next_request_is_called_anew(
    outbound: Outbound,
) -> None:
    answered = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        await read_request(reader)
        answered += 1
        writer.write(OK)
        await writer.drain()
        await reader.readexactly(1)  # sees the next request begin, and goes

    async with server(behave) as port:
        assert [await post(outbound, port) for _ in range(5)] == [200] * 5
    assert answered == 5


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection"])
async def test_headers_that_say_how_a_request_is_sent_are_not_to_be_chosen(outbound: Outbound, name: str) -> None:
    with pytest.raises(OutboundRefused, match="not to be chosen"):
        await outbound.request("POST", "http://127.0.0.1:1/", headers={name: "x"}, body=b"")


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a\r\nb": "c"}, {"a": "é"}, {"a b": "c"}, {"a": "\x00"}])
async def test_no_header_can_be_put_in_by_a_value_or_a_name(outbound: Outbound, headers: dict[str, str]) -> None:
    async with server(ok) as port:
        with pytest.raises(OutboundRefused):
            await outbound.request("POST", f"http://127.0.0.1:{port}/", headers=headers, body=b"")


# -- servers that do harm ---------------------------------------------------------------------------------------------


async def _says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drips_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _drips_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _goes_on_and_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("behave", [_says_nothing, _drips_headers, _drips_a_body, _goes_on_and_on])
async def test_a_server_that_takes_its_time_gets_the_time_given_and_no_more(outbound: Outbound, behave: Behave) -> None:
    async with server(behave) as port:
        with pytest.raises(OutboundFailed, match=r"no whole answer within 0\.5 s"):
            await post(outbound, port, SHORT_S)


async def test_who_is_given_up_is_hung_up_on(outbound: Outbound) -> None:
    closed = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await reader.read()  # until the other side closes
        closed.set()

    async with server(behave) as port:
        with pytest.raises(OutboundFailed, match="within"):
            await post(outbound, port, SHORT_S)
        await asyncio.wait_for(closed.wait(), 20)


async def test_a_server_that_reads_nothing_gets_the_time_given_and_no_more(outbound: Outbound) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async with server(behave) as port:
        with pytest.raises(OutboundFailed, match="within"):
            await outbound.request(
                "POST", f"http://127.0.0.1:{port}/", headers={}, body=bytes(32 * MIB), timeout_s=SHORT_S
            )


async def _endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(64 * KIB))
        await writer.drain()


async def _endless_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(64 * KIB) + b"\r\n")
        await writer.drain()


async def _gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    bomb = gzip.compress(bytes(16 * MIB)) * 8
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
    writer.write(head.encode() + bomb)
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("behave", [_endless_body, _endless_chunks, _gzip_bomb])
async def test_a_body_is_taken_up_to_the_bound_as_it_was_sent(outbound: Outbound, behave: Behave) -> None:
    async with server(behave) as port:
        answer = await outbound.request(
            "POST", f"http://127.0.0.1:{port}/", headers={}, body=b"", answer_bytes_max=10 * KIB
        )
    assert (answer.status, len(answer.body), answer.cut) == (200, 10 * KIB, True)


async def test_an_endless_body_does_not_fill_the_memory(outbound: Outbound) -> None:
    async with server(_endless_body) as port:
        await post(outbound, port)  # what is made once is made now
        tracemalloc.start()
        try:
            await asyncio.gather(*(post(outbound, port) for _ in range(5)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * MIB


async def _one_huge_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        writer.write(b"x" * 64 * KIB)
        await writer.drain()


async def _many_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n" * 1000)
        await writer.drain()


async def _large_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: " + b"x" * 40 * KIB + b"\r\n\r\n")
    await writer.drain()
    await reader.read()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def _closes_in_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()


async def _is_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
    await writer.drain()
    await reader.read()


async def _two_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize(
    "behave",
    [
        *(_one_huge_header, _many_headers, _large_headers, _resets, _closes, _closes_in_the_body, _is_no_http),
        _two_lengths,
    ],
)
async def test_an_answer_that_is_none_is_a_failure(outbound: Outbound, behave: Behave) -> None:
    async with server(behave) as port:
        with pytest.raises(OutboundFailed) as failed:
            await post(outbound, port)
    assert "within" not in str(failed.value), "it was told at once, not by waiting"


async def test_a_host_that_takes_no_connection_is_a_failure(outbound: Outbound) -> None:
    async with server(ok) as port:
        pass
    with pytest.raises(OutboundFailed, match="takes no connection"):
        await post(outbound, port)


async def test_redirects_are_answers_and_are_not_followed(outbound: Outbound) -> None:
    requests = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            first, _, _ = await read_request(reader)
            requests += 1
            location = "http://169.254.169.254/latest" if "metadata" in first else "/hook"
            writer.write(f"HTTP/1.1 307 Again\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode())

    async with server(behave) as port:
        assert await post(outbound, port) == 307
        assert await post(outbound, port, path="/metadata") == 307
    assert requests == 2


async def test_calls_that_hang_hold_up_no_call_to_another_host(outbound: Outbound) -> None:
    async with server(_says_nothing) as hanging, server(ok) as good:
        stuck = [asyncio.create_task(post(outbound, hanging)) for _ in range(50)]
        await asyncio.sleep(0)
        assert [await post(outbound, good) for _ in range(20)] == [200] * 20
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


# -- names, addresses and certificates --------------------------------------------------------------------------------


def resolving(*answers: Sequence[str]) -> Outbound:
    """Each look-up gets the next answer; 127.0.0.1 is allowed, 127.0.0.2 is as private as any."""
    left = list(answers)
    return Outbound(["127.0.0.1"], timeout_s=20, resolve=lambda name: left.pop(0))


async def test_a_name_that_is_bound_anew_is_refused_at_the_next_connection() -> None:
    outbound = resolving(["127.0.0.1"], ["127.0.0.2"])

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await read_request(reader)
            writer.write(OK)
            await writer.drain()

    async with server(behave) as port:
        url = f"http://{NAME}:{port}/"
        for _ in range(2):  # the second over the connection that was checked
            assert (await outbound.request("GET", url, headers={}, body=None)).status == 200
        with pytest.raises(OutboundRefused, match="not on the public internet"):
            await outbound.request("GET", url, headers={}, body=None)
    await outbound.close()


async def test_a_name_is_looked_up_once_and_where_it_led_is_where_the_call_goes() -> None:
    outbound = resolving(["127.0.0.1"])  # a second look-up would find nothing to answer
    hosts = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, _ = await read_request(reader)
        hosts.append(headers["host"])
        writer.write(OK)
        await writer.drain()

    async with server(behave) as port:
        await outbound.request("GET", f"http://{NAME}:{port}/", headers={}, body=None)
        assert hosts == [f"{NAME}:{port}"]
    await outbound.close()


async def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    outbound = Outbound(["127.0.0.0/8"], timeout_s=20, resolve=lambda name: ["127.0.0.3", "127.0.0.1"])
    async with server(ok) as port:
        assert (await outbound.request("GET", f"http://{NAME}:{port}/", headers={}, body=None)).status == 200
    await outbound.close()


async def test_a_name_server_that_does_not_answer_costs_the_time_given_and_holds_up_no_other_name() -> None:
    answer = threading.Event()

    def resolve(name: str) -> Sequence[str]:
        if name.startswith("slow"):
            answer.wait(30)
        return ["127.0.0.1"]

    outbound = Outbound(["127.0.0.1"], timeout_s=20, resolve=resolve)
    async with server(ok) as port:
        calls = [
            outbound.request("GET", f"http://slow.example.com:{port}/", headers={}, body=None, timeout_s=SHORT_S)
            for _ in range(60)
        ]
        slow = asyncio.gather(*calls, return_exceptions=True)
        assert (await outbound.request("GET", f"http://{NAME}:{port}/", headers={}, body=None)).status == 200
        assert all(isinstance(each, OutboundFailed) for each in await slow)
        answer.set()
    await outbound.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_over_tls_the_certificate_must_be_the_names_not_the_addresss(authority: Authority) -> None:
    outbound = Outbound(["127.0.0.1"], timeout_s=20, ca_file=authority.file, resolve=lambda name: ["127.0.0.1"])
    context = authority.context(NAME)
    asked_for: list[str | None] = []
    context.sni_callback = lambda tls, name, _: asked_for.append(name)
    async with server(ok, context) as port:
        for _ in range(2):
            assert (await outbound.request("GET", f"https://{NAME}:{port}/", headers={}, body=None)).status == 200
        assert asked_for == [NAME]
        with pytest.raises(OutboundFailed, match="certificate does not stand"):
            await outbound.request("GET", f"https://other.example.com:{port}/", headers={}, body=None)
        with pytest.raises(OutboundFailed, match="certificate does not stand"):
            await outbound.request("GET", f"https://127.0.0.1:{port}/", headers={}, body=None)
    await outbound.close()


async def test_a_certificate_that_nobody_trusts_or_that_has_expired_does_not_stand(authority: Authority) -> None:
    strict = Outbound(["127.0.0.1"], timeout_s=20, resolve=lambda name: ["127.0.0.1"])
    knowing = Outbound(["127.0.0.1"], timeout_s=20, ca_file=authority.file, resolve=lambda name: ["127.0.0.1"])
    for outbound, days in ((strict, 30), (knowing, -1)):
        async with server(ok, authority.context(NAME, days=days)) as port:
            with pytest.raises(OutboundFailed, match="certificate does not stand"):
                await outbound.request("GET", f"https://{NAME}:{port}/", headers={}, body=None)
        await outbound.close()


async def _closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


@pytest.mark.parametrize("behave", [_is_no_http, _closes_at_once])
async def test_a_server_that_does_not_speak_tls_is_a_failure(behave: Behave) -> None:
    outbound = Outbound(["127.0.0.1"], timeout_s=20, resolve=lambda name: ["127.0.0.1"])
    async with server(behave) as port:
        with pytest.raises(OutboundFailed, match="does not speak TLS"):
            await outbound.request("GET", f"https://{NAME}:{port}/", headers={}, body=None)
    await outbound.close()


async def test_a_handshake_without_end_gets_the_time_given_and_leaves_no_connection() -> None:
    outbound = Outbound(["127.0.0.1"], timeout_s=SHORT_S, resolve=lambda name: ["127.0.0.1"])
    closed = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side closes
        closed.set()

    async with server(behave) as port:
        with pytest.raises(OutboundFailed, match="within"):
            await outbound.request("GET", f"https://{NAME}:{port}/", headers={}, body=None)
        await asyncio.wait_for(closed.wait(), 20)
    await outbound.close()


def test_what_is_no_certificate_is_no_authority(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        Outbound(ca_file=tmp_path / "ca.pem")
