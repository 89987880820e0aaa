"""Personal data is found by its form, its check digits and the words beside it; and nothing else is."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rondo
from guarding import guards, over
from rondo.guards import checksums
from rondo.guards.personal import KINDS, PATTERNS, compiled, find_personal

TEMPLATE = Path(rondo.__file__).parent / "templates" / "support-bot"

FOUND = [
    ("email", "write to anna.smith+shop@mail.example.co.uk please", "anna.smith+shop@mail.example.co.uk"),
    ("email", "jürgen@müller.de", "jürgen@müller.de"),
    ("email", "联系 a@b.com谢谢", "a@b.com"),
    ("phone", "call +49 (0)170 123-45 67 now", "+49 (0)170 123-45 67"),
    ("phone", "call 0044 1632 960155.", "0044 1632 960155"),
    ("phone", "Meine Telefonnummer: 030 1234567", "030 1234567"),
    ("phone", "my cell is (555) 123-4567", "(555) 123-4567"),
    ("phone", "212-555-0187", "212-555-0187"),
    ("phone", "07700 900123", "07700 900123"),
    ("phone", "0176 12345678", "0176 12345678"),
    ("phone", "06 12 34 56 78", "06 12 34 56 78"),
    ("iban", "IBAN DE89 3704 0044 0532 0130 00 AUCH", "DE89 3704 0044 0532 0130 00"),
    ("iban", "gb82west12345698765432", "gb82west12345698765432"),
    ("iban", "NL91ABNA0417164300", "NL91ABNA0417164300"),
    ("card", "2024 4111 1111 1111 1111 2025", "4111 1111 1111 1111"),
    ("card", "amex 3782-822463-10005", "3782-822463-10005"),
    ("card", "5555555555554444", "5555555555554444"),
    ("ipv4", "from 203.0.113.9.", "203.0.113.9"),
    ("ipv6", "at 2001:db8::ff00:42:8329: it", "2001:db8::ff00:42:8329"),
    ("ipv6", "fe80::1ff:fe23:4567:890a", "fe80::1ff:fe23:4567:890a"),
    ("mac", "00:1a:2B:3c:4d:5E", "00:1a:2B:3c:4d:5E"),
    ("us_ssn", "ssn 123-45-6789", "123-45-6789"),
    ("uk_nino", "NI AB 12 34 56 C", "AB 12 34 56 C"),
    ("de_tax_id", "Steuer-ID 86095742719", "86095742719"),
    ("de_tax_id", "86 095 742 719", "86 095 742 719"),
    ("es_id", "DNI 12345678Z", "12345678Z"),
    ("es_id", "x-1234567-l", "x-1234567-l"),
    ("it_fiscal_code", "RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("fr_nir", "1 85 05 78 006 084 91", "1 85 05 78 006 084 91"),
    ("nl_bsn", "BSN: 111222333", "111222333"),
    ("passport", "Reisepass Nr. C01X00T47", "C01X00T47"),
    ("passport", "passport number is 123456789", "123456789"),
    ("birth_date", "born on 12 March 1985", "12 March 1985"),
    ("birth_date", "geboren am 3.4.1971 in", "3.4.1971"),
    ("birth_date", "DOB: 1985-03-12", "1985-03-12"),
    ("crypto", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
    ("crypto", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ("crypto", "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe", "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe"),
    ("url_login", "https://anna:pa55@host.example/x", "anna:pa55"),
]


@pytest.mark.parametrize(("kind", "text", "value"), FOUND)
def test_found(kind: str, text: str, value: str) -> None:
    (first, *_) = compiled((kind,)).find(text)
    assert (first.kind, text[first.start : first.end]) == (kind, value)
    assert kind in find_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "order 4711 of 12.03.2026 at 12:30:45",
        "version 1.2.3.4.5 and 10.4",
        "DE89 3704 0044 0532 0130 01",  # check digits
        "XX89 3704 0044 0532 0130 00",  # no such country
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "000-12-3456 and 666-12-3456 and 900-12-3456",
        "BG 12 34 56 C",
        "86095742718",
        "12345678A",
        "RSSMRA85T10A562T",
        "1 85 05 78 006 084 92",
        "BSN 111222334",
        "111222333",  # says nothing without its word
        "C01X00T47",
        "12 March 1985",
        "passport holders and travellers",
        "std::vector<int> a::b",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdr",
        "a @ b.com, user@localhost",
        "The call took 5 minutes, 300 people came.",
        "£1,299.00 plus 20 % of 45,000",
    ],
)
def test_not_found(text: str) -> None:
    assert find_personal(text) == {}


def test_questions_of_customers_hold_nothing() -> None:
    """The template's questions were written without personal data."""
    lines = (TEMPLATE / "datasets" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 80
    assert [line for line in lines if find_personal(json.loads(line)["question"])] == []


def test_names_and_addresses_are_not_found_here() -> None:
    """As the documentation says."""
    assert find_personal("I am Anna Smith, 12 High Street, Leeds LS1 4AP.") == {}


@given(st.text(max_size=300))
def test_places_are_places_in_the_text(text: str) -> None:
    found = compiled().find(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert all(first.end <= second.start for first, second in pairwise(found))


@given(st.text(max_size=60), st.text(max_size=60))
def test_places_count_in_characters(before: str, after: str) -> None:
    text = f"{before} anna@shop.example {after}"
    found = [text[each.start : each.end] for each in compiled(("email",)).find(text)]
    assert "anna@shop.example" in found


@given(st.lists(st.sampled_from([text for _, text, _ in FOUND] + ["hello", "", "ü" * 9, "4711"]), max_size=8))
def test_texts_together_hold_what_each_holds(texts: list[str]) -> None:
    assert compiled().find_all(texts) == [compiled().find(text) for text in texts]


@given(st.sampled_from(FOUND), st.sampled_from(["", "x ", "é ", "«"]))
def test_a_hint_occurs_wherever_its_pattern_does(found: tuple[str, str, str], before: str) -> None:
    """Each kind alone, without the others' hints."""
    kind, text, value = found
    spans = compiled((kind,)).find(before + text)
    assert value in [(before + text)[each.start : each.end] for each in spans]


def test_every_kind_is_tried_here() -> None:
    assert {kind for kind, _, _ in FOUND} == set(KINDS) == {pattern.kind for pattern in PATTERNS}


async def test_kinds_can_be_chosen() -> None:
    outcome = await over(guards({"check": "pii", "kinds": ["email"]}), "a@b.com 4111 1111 1111 1111")
    assert outcome.verdicts[0].found == {"email": 1}


async def test_overlapping_findings_are_one() -> None:
    outcome = await over(guards({"check": "pii", "action": "redact"}), "see https://anna:pa55@host.example/x ok")
    assert outcome.texts == ["see https://[URL_LOGIN]/x ok"]


@pytest.mark.parametrize(
    "text", ["1" * 20_000, "1 " * 10_000, "a@" * 10_000, "+1(" * 8_000, ":" * 20_000, "AB12 " * 5_000]
)
def test_hostile_text_takes_no_time_to_speak_of(text: str) -> None:
    """Each of these is quadratic or worse for an engine that backtracks."""
    compiled().find(text)


def test_check_digits_refuse_each_wrong_digit() -> None:
    for valid, number in [(checksums.luhn, "4111111111111111"), (checksums.german_tax_id, "86095742719")]:
        assert valid(number)
        for place in range(len(number)):
            wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
            assert not valid(wrong)
