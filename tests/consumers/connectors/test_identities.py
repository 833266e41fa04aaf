"""Vendors' rules for what they compare by hash, with the examples that they publish."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.connectors import identities
from consumers.connectors.identities import email, google_email, phone
from consumers.connectors.templates import compile_value

GOOGLE = "{{ customer.email | google_email | sha256 }}"
GOOGLE_PHONE = '{{ customer.phone | google_phone: "1" | sha256 }}'
META = "{{ customer.email | email | sha256 }}"
META_PHONE = "{{ customer.phone | phone | sha256 }}"
MAILCHIMP = "{{ customer.email | email | md5 }}"

# https://developers.google.com/data-manager/api/devguides/audiences/send-audience-members
GOOGLE_SAYS = [
    ("dana@example.com", "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3"),
    ("DanaM@example.com", "1df6b43bc68dd38eca94e6a65b4f466ae537b796c81a526918b40ac4a7b906c7"),
    ("ALEXF@example.com", "19de0a9906ebee29fe82087be5ec44f3c01e40730bc808b663c71f19dd6b12f2"),
    ("AlexF@cymbalgroup.com", "7d2d80e240594dcee2e57f57885ee286c4b232dd142234d7a0af6d31cc86679b"),
    ("quinn@CYMBALGROUP.com", "05bb62526f091b45d20e243d194766cca8869137421047dc53fa4876d111a6f0"),
    ("baklavainthebalkans@gmail.com  ", "f1fcde379f31f4d446b76ee8f34860eca2288adc6b6d6c0fdc56d9eee75a2fa5"),
    ("cloudySanFrancisco@GMAIL.com", "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
    # https://developers.google.com/data-manager/api/devguides/concepts/formatting
    ("cloudy.sanfrancisco+shopping@gmail.com", "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
]
GOOGLE_PHONES = [
    ("+1-800-555-0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
    ("(800)555-0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
    ("+1 800-555-0101", "61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"),
    ("+1-800-555-0110", "525c2390a4e2a9766fa8ddc341dd10414603baebefa401f5a5e29f55e176525d"),
]
# https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters, which
# audiences share (https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences#hash)
META_SAYS = [("John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f")]
META_PHONES = [("+1 (650) 555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176")]
# https://mailchimp.com/developer/marketing/docs/methods-parameters/#path-parameters
MAILCHIMP_SAYS = [("Urist.McVankab@freddiesjokes.com", "62eeb292278cc15f5817cb78f7790b08")]


@pytest.mark.parametrize(
    ("template", "field", "value", "expected"),
    [(GOOGLE, "email", *each) for each in GOOGLE_SAYS]
    + [(GOOGLE_PHONE, "phone", *each) for each in GOOGLE_PHONES]
    + [(META, "email", *each) for each in META_SAYS]
    + [(META_PHONE, "phone", *each) for each in META_PHONES]
    + [(MAILCHIMP, "email", *each) for each in MAILCHIMP_SAYS],
)
def test_hashes_are_those_that_the_vendors_publish(template: str, field: str, value: str, expected: str) -> None:
    assert compile_value(template).value({"customer": {field: value}}) == expected


@pytest.mark.parametrize("value", [None, "", "  ", "nobody", "a@b", 7, ["a@b.example"], "a b@c.example@d.example"])
def test_what_is_no_address_comes_to_nothing_and_has_no_hash(value: object) -> None:
    for template in (META, GOOGLE, MAILCHIMP):
        assert compile_value(template).value({"customer": {"email": value}}) is None


@pytest.mark.parametrize(
    ("value", "country", "expected"),
    [
        ("0721000000", "40", "40721000000"),
        ("721000000", "40", "40721000000"),
        (721000000, "+40", "40721000000"),
        ("0040 721 000 000", "1", "40721000000"),
        ("+44 20 7946 0958", "40", "442079460958"),
        ("1 (650) 555-1212", "1", "16505551212"),
        ("650 555 1212", "1", "16505551212"),
        ("+40 721\u00a0000\u2013000", "", "40721000000"),
        ("0721000000", "", None),
        ("+40", "", None),
        ("+1234567890123456", "", None),
        ("+0721000000", "", None),
        ("ask Ana", "40", None),
        ("0721000000 ext. 5", "40", None),
        ("+40\n721000000", "40", None),
        (None, "40", None),
        (True, "40", None),
        (7.5, "40", None),
    ],
)
def test_phone_numbers_are_whole_international_ones_or_nothing(
    value: object, country: str, expected: str | None
) -> None:
    assert phone(value, country) == expected


def test_what_is_undefined_can_be_left_out() -> None:
    for template in ("{{ customer.email | email | sha256 | default: omit }}", "{{ phone | phone: '40' | default: 1 }}"):
        assert compile_value(template).value({"customer": {}, "omit": 1}) == 1


@given(st.text(max_size=40))
def test_a_form_that_is_compared_stays_what_it_is_when_it_is_made_again(text: str) -> None:
    for form in (email, google_email):
        once = form(text + "@gmail.com")
        assert once is None or form(once) == once
    number = phone(text, "40")
    assert number is None or phone("+" + number) == number


def test_examples_in_the_code_are_true() -> None:
    assert doctest.testmod(identities).failed == 0
