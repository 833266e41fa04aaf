"""What is decided without a server: mistakes in a `with`, what is shown, texts, addresses, tokens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.connectors.mail import addresses, headers, message, plain, refusals, transport
from consumers.connectors.mail.addresses import AddressInvalid, parse_address, parse_mailbox
from consumers.connectors.mail.connector import Mail
from consumers.connectors.mail.headers import one_line, words
from consumers.connectors.mail.plain import text_of
from consumers.connectors.mail.tokens import Claim, Keys
from consumers.connectors.port import RenderFailed
from consumers.state.store import Store
from rules.language import load_yaml, parse_document
from tests.consumers.connectors.mail.server import SmtpServer
from tests.consumers.connectors.mail.worlds import SECRET, connector, mail_settings, subject

NEWER = "a newer secret of thirty-two characters"
ANA = parse_address("ana@customer.example")


@pytest.mark.parametrize("module", [addresses, headers, message, plain, refusals, transport])
def test_examples_in_the_code_are_true(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("with_", "mistakes"),
    [
        ({"subject": "S", "text": "T"}, []),
        ({"subject": "S", "html": "T", "to": "{{ customer.work_email }}", "from": "a@b.example"}, []),
        ({"template": "welcome"}, []),
        ({"template": "welcome", "subject": "S"}, []),
        ({}, ["a.with: needs a `template`, or a `text` or `html` of its own"]),
        ({"text": "T"}, ["a.with: needs a `subject`"]),
        ({"template": "bare"}, ["a.with: needs a `subject`, for the template has none"]),
        ({"template": "welcome", "html": "x"}, ["a.with.html: is in the template: take one of them away"]),
        (
            {"template": "welcom"},
            ["a.with.template: no such template `welcom`; did you mean `welcome`? one of: bare, broken, welcome"],
        ),
        (
            {"template": "../welcome"},
            ["a.with.template: `../welcome` is no template's name: letters, digits, `-` and `_`"],
        ),
        ({"subject": 7, "text": "T"}, ["a.with.subject: is a text"]),
        (
            {"subject": "S", "text": "T", "titel": "x"},
            ["a.with.titel: no such key `titel`; one of: template, subject, text, html, to, from, reply_to"],
        ),
    ],
)
async def test_every_mistake_is_located(
    store: Store, tmp_path: Path, with_: dict[str, Any], mistakes: list[str]
) -> None:
    (tmp_path / "welcome.yaml").write_text("subject: Hello")
    (tmp_path / "welcome.txt.liquid").write_text("Hello {{ customer.name }}")
    (tmp_path / "bare.html.liquid").write_text("<p>Hello</p>")
    (tmp_path / "broken.txt.liquid").write_text("{% if %}")
    async with connector(store, mail_settings(_unstarted(), templates_dir=tmp_path)) as mail:
        assert [str(each) for each in mail.check("send", with_, "a")] == mistakes


@pytest.mark.parametrize(
    ("with_", "at"),
    [
        ({"subject": "{{ custmer.name }}", "text": "T"}, "a.with.subject"),
        ({"subject": "S", "text": "{{ secrets.KEY }}"}, "a.with.text"),
        ({"subject": "S", "html": "{% if %}"}, "a.with.html"),
        ({"template": "broken", "subject": "S"}, "a.with.template"),
    ],
)
async def test_templates_are_checked_before_they_are_used(
    store: Store, tmp_path: Path, with_: dict[str, Any], at: str
) -> None:
    (tmp_path / "broken.html.liquid").write_text("{{ nobody.name }}")
    async with connector(store, mail_settings(_unstarted(), templates_dir=tmp_path)) as mail:
        (mistake,) = mail.check("send", with_, "a")
    assert mistake.at == at


async def test_a_mail_is_nothing_that_could_be_kept_equal_to_a_membership(mail: Mail) -> None:
    (mistake,) = mail.check("send", {"subject": "S", "text": "T"}, "a", both_ways=True)
    assert mistake.at == "a.use"


async def test_what_would_be_sent_is_shown_without_what_could_unsubscribe(mail: Mail, smtp: SmtpServer) -> None:
    with_ = {"subject": "Bună {{ customer.name }}", "html": "<p>A</p><a href='{{ unsubscribe_url }}'>no</a>"}
    (shown,) = mail.render("send", with_, [subject("Ștefan")], ["k"])
    assert (shown.method, shown.url) == ("MAIL", f"smtp://127.0.0.1:{smtp.port}")
    assert shown.headers["Subject"] == "Bună Ștefan"
    assert shown.headers["To"] == "ana@customer.example"
    assert shown.headers["List-Unsubscribe"] == "<https://segments.shop.example/v1/mail/unsubscribe/***>"
    assert "<p>A</p><a href='https://segments.shop.example/v1/mail/unsubscribe/***'>" in shown.body
    assert list(shown.customers) == ["c-7"]
    assert smtp.received == []
    with pytest.raises(RenderFailed, match="no e-mail address"):
        mail.render("send", with_, [subject(email=None)], ["k"])


async def test_the_examples_of_the_document_are_right(store: Store, tmp_path: Path) -> None:
    (tmp_path / "offer.html.liquid").write_text(
        "<p>{{ customer.name }} <a href='{{ unsubscribe_url }}'>No more</a></p>"
    )
    (tmp_path / "offer.yaml").write_text("subject: An offer")
    page = (Path(__file__).parents[4] / "docs" / "mail.md").read_text()
    [block] = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    actions = parse_document(load_yaml(block)).actions
    assert len(actions) == 3
    async with connector(store, mail_settings(_unstarted(), templates_dir=tmp_path)) as mail:
        for action in actions:
            assert action.use == "mail.send"
            assert mail.check("send", action.with_, "a", both_ways=action.on == "member") == []


# -- tokens -----------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=128))
def test_a_token_says_whose_it_is_and_stands_in_a_url(customer: str) -> None:
    customer = customer.encode("utf-8", "replace").decode()
    keys = Keys([SECRET])
    token = keys.token(ANA, customer)
    assert keys.read(token) == Claim(keys.hashes(ANA)[0], customer)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert "ana" not in token


@given(st.integers(min_value=0, max_value=5_000), st.sampled_from("AZaz09-_"))
def test_a_token_with_another_letter_is_none(place: int, letter: str) -> None:
    keys = Keys([SECRET])
    token = keys.token(ANA, "c-70")  # 37 bytes in 50 letters: the last says 4 bits, which are read
    place %= len(token) - 1
    forged = token[:place] + letter + token[place + 1 :]
    assert (keys.read(forged) is None) == (forged != token)


@pytest.mark.parametrize("token", ["", "x", "A" * 50, "A" * 5_000, "ä", "=", "....", "%00", "a b"])
def test_what_is_no_token_is_none(token: str) -> None:
    assert Keys([SECRET]).read(token) is None


def test_tokens_outlive_a_new_secret_and_not_the_loss_of_theirs() -> None:
    token = Keys([SECRET]).token(ANA, "c-7")
    rotated = Keys([NEWER, SECRET]).read(token)
    assert rotated is not None
    assert rotated.hash in Keys([NEWER, SECRET]).hashes(ANA)
    assert Keys([NEWER]).read(token) is None


# -- texts ------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=400))
def test_a_header_line_is_one_line_whatever_was_rendered(text: str) -> None:
    line = one_line(text, 80)
    assert len(line) <= 80
    assert len(line.splitlines()) <= 1
    assert all(each[:1] in " \t" for each in words("Subject", line).split("\r\n")[1:])
    words("Subject", line).encode("ascii")


@given(st.text(max_size=60))
def test_an_address_is_refused_or_stands_alone(text: str) -> None:
    try:
        found = parse_address(text + "@customer.example")
    except AddressInvalid:
        return
    assert not set(' \t\r\n<>"(),:;\\[]') & set(found.text)
    assert found.text.count("@") == 1


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        (" Shop <a@b.example> ", "Shop", "a@b.example"),
        ('"Shop, Inc." <a@b.example>', "Shop, Inc.", "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("a " + " " * 200_000 + "b <a@b.example>", "a " + " " * 200_000 + "b", "a@b.example"),
        ("Shop <a@b.example", None, None),
        ("Shop a@b.example>", None, None),
        ("Shop <a@b.example> <c@d.example>", None, None),
        ('Sh"op <a@b.example>', None, None),
        ("", None, None),
        ("<>", None, None),
        ("x" * 200_000, None, None),
        ("x" * 200_000 + "@b.example", None, None),
        ("a@" + "ü." * 100_000 + "example", None, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_mailbox_is_a_name_and_an_address_or_nothing_at_all(text: str, name: str | None, address: str | None) -> None:
    if address is None:
        with pytest.raises(AddressInvalid):
            parse_mailbox(text)
    else:
        found = parse_mailbox(text)
        assert (found.name, found.address.text) == (name, address)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two", "One\nTwo"),
        ("<style>p {color: red}</style><title>No</title><p>Yes</p>", "Yes"),
        ("<ul><li>One<li>Two</ul>", "- One\n- Two"),
        ("<p>5 &lt; 7 &amp; &euro;</p>", "5 < 7 & €"),
        ('<a href="https://a.example">https://a.example</a>', "https://a.example"),
        ('<a href="https://a.example"><img alt="Logo" src=x></a>', "Logo (https://a.example)"),
        ('<a href="#top">Up</a>', "Up"),
        ("<table><tr><td>A</td><td>1</td></tr><tr><td>B</td><td>2</td></tr></table>", "A 1\nB 2"),
        ("<p>a\n  b</p>", "a b"),
        ("<p>unclosed <b>tags", "unclosed tags"),
    ],
)
def test_a_text_is_made_from_html(html: str, text: str) -> None:
    assert text_of(html) == text


def _unstarted() -> SmtpServer:
    server = SmtpServer(port=25)
    server._loop.close()
    return server
