"""Personal data that can be known by its form: addresses, accounts, cards, numbers of persons.

Where a kind has check digits they are checked; where its form alone says too little (passports, dates of birth,
national telephone numbers) words beside it must say what it is. Names, places and postal addresses have no form: they
are not found here, but by `names`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

from rondo.guards import checksums
from rondo.guards.patterns import ALNUM, Pattern, PatternCheck, Patterns, Refine

_DIGITS = frozenset(b"0123456789")

_LATIN = r"[A-Za-z0-9]|[\xc3-\xc5][\x80-\xbf]"
_MONTH = r"(?:jan|feb|m[a\xc3][r\xa4]|apr|ma[iy]|jun|jul|aug|sep|okt|oct|nov|de[cz])[a-z]{0,7}"
_DATE = (
    r"(\d{1,2}[./ -]\d{1,2}[./ -]\d{2,4}|\d{4}-\d{2}-\d{2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of )?{_MONTH}\.?,? \d{{2,4}}|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BORN = (
    r"(?i)\b(?:born|date of birth|d\.?o\.?b\b|birth ?da(?:te|y)|geboren|geburtsdatum|geburtstag|n\xc3\xa9e?|"
    r"date de naissance|fecha de nacimiento|nat[oa]|data di nascita|geboortedatum)"
)
_PASSPORT = r"(?i)\b(?:passports?|reisepass|ausweis\w{0,10}|passeport|pasaporte|passaporto|paspoort|passnummer)\b"
_PHONE_WORD = (
    r"(?i)\b(?:phones?|tel|telefon\w{0,8}|telephone|mobile?|cell|call|fax|handy\w{0,8}|whatsapp|sms|text me|"
    r"rufnummer|r\xc3\xbcckruf|portable|m\xc3\xb3vil|cellulare|telefoon\w{0,8})\b"
)


def _value(data: bytes, start: int, end: int) -> str:
    return bytes(char for char in data[start:end] if char in ALNUM).decode().upper()


def _checked(valid: Callable[[str], bool], *lengths: int) -> Refine:
    def refine(data: bytes, start: int, end: int) -> tuple[int, int] | None:
        value = _value(data, start, end)
        return (start, end) if (not lengths or len(value) in lengths) and valid(value) else None

    return refine


def _card(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    digits = _value(data, start, end)
    return (start, end) if len(set(digits)) > 1 and checksums.luhn(digits) else None


def _iban(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """As long as its country has it: words that follow are no part of it."""
    wanted = checksums.IBAN_LENGTHS.get(data[start : start + 2].decode().upper())
    if wanted is None:
        return None
    places = [place for place in range(start, end) if data[place] in ALNUM][:wanted]
    until = places[-1] + 1
    if len(places) < wanted or (until < len(data) and data[until] in ALNUM):
        return None
    return (start, until) if checksums.iban(_value(data, start, until)) else None


def _phone(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """E.164 has up to 15 digits; a run of more is something else."""
    if end < len(data) and data[end] in _DIGITS:
        return None
    return (start, end) if 7 <= sum(char in _DIGITS for char in data[start:end]) <= 15 else None


def _abroad(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    before = data[max(0, start - 2) : start]
    in_a_number = data[start] == ord("0") and before[:1].isdigit() and before[1:] in (b" ", b"-")
    if in_a_number or (before and before[-1] in ALNUM):
        return None
    return _phone(data, start, end)


def _ipv4(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Not a part of a longer dotted number."""
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    if (before[-1:] == b"." and before[:1].isdigit()) or (after[:1] == b"." and after[1:].isdigit()):
        return None
    return start, end


def _ipv6(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    around = data[max(0, start - 1) : start] + data[end : end + 1]
    if data[end - 1 : end] == b":" and data[end - 2 : end - 1] != b":":
        end -= 1  # a colon that ends a clause
    text = data[start:end].decode()
    if any(char in ALNUM or char in b":" for char in around) or len(text) < 6 or not _DIGITS & set(data[start:end]):
        return None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return start, end


def _date(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    return None if end < len(data) and data[end] in _DIGITS else (start, end)


def _bitcoin(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    return (start, end) if checksums.bitcoin(data[start:end].decode()) else None


URL_LOGIN = r"(?i)\b[a-z][a-z0-9+.-]{1,20}://([^\s/@:\x00]{1,64}:[^\s/@\x00]{1,128})@"
"""A user and a password in an address."""

PATTERNS: tuple[Pattern, ...] = (
    Pattern(kind="url_login", expression=URL_LOGIN, hint="://"),
    Pattern(
        kind="email",
        expression=rf"(?:[._%+-]|{_LATIN}){{1,64}}@(?:(?:-|{_LATIN}){{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}",
        hint=r"[^\s]@[^\s]",
    ),
    Pattern(
        kind="iban",
        expression=r"(?i)\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b",
        hint=r"(?i)\b[a-z]{2}\d{2} ?[a-z0-9]{4}",
        refine=_iban,
    ),
    Pattern(
        kind="card",
        expression=r"\b(?:(?:[2456]\d{3}|35\d{2})(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}"
        r"|3[068]\d{2}[ -]?\d{6}[ -]?\d{4}|[2456]\d{12,18})\b",
        refine=_card,
    ),
    Pattern(
        kind="crypto",
        expression=r"\b(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|(?i:bc1[02-9ac-hj-np-z]{11,71}))\b",
        refine=_bitcoin,
    ),
    Pattern(kind="crypto", expression=r"\b0x[0-9a-fA-F]{40}\b"),
    Pattern(kind="mac", expression=r"\b[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})\b"),
    Pattern(
        kind="ipv6", expression=r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}", hint=r":[0-9A-Fa-f]{0,4}:", refine=_ipv6
    ),
    Pattern(
        kind="ipv4",
        expression=r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",
        refine=_ipv4,
    ),
    Pattern(kind="us_ssn", expression=r"\b\d{3}-\d{2}-\d{4}\b", refine=_checked(checksums.us_social_security, 9)),
    Pattern(
        kind="uk_nino",
        expression=r"(?i)\b[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] ?\d{2} ?\d{2} ?\d{2} ?[a-d]\b",
        refine=_checked(checksums.british_insurance),
    ),
    Pattern(
        kind="de_tax_id",
        expression=r"\b[1-9]\d(?:\d{9}| \d{3} \d{3} \d{3})\b",
        refine=_checked(checksums.german_tax_id, 11),
    ),
    Pattern(
        kind="es_id",
        expression=r"(?i)\b(?:\d{8}|[xyz]-?\d{7})-?[a-hj-np-tv-z]\b",
        refine=_checked(checksums.spanish_id),
    ),
    Pattern(
        kind="it_fiscal_code",
        expression=r"(?i)\b[a-z]{6}[0-9lmnp-v]{2}[abcdehlmprst][0-9lmnp-v]{2}[a-z][0-9lmnp-v]{3}[a-z]\b",
        refine=_checked(checksums.italian_fiscal_code),
    ),
    Pattern(
        kind="fr_nir",
        expression=r"(?i)\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[ab]) ?\d{3} ?\d{3} ?\d{2}\b",
        refine=_checked(checksums.french_social_security, 15),
    ),
    Pattern(
        kind="nl_bsn",
        expression=r"(?i)\b(?:bsn|burgerservicenummer|sofinummer)\b[^\n\x00]{0,16}?\b(\d{9})\b",
        hint=r"(?i)\b(?:bsn|burgerservice|sofi)",
        refine=_checked(checksums.dutch_citizen, 9),
    ),
    Pattern(
        kind="passport",
        expression=_PASSPORT + r"[^\n\x00]{0,24}?\b([a-z]{0,2}\d[a-z0-9]{5,8})\b",
        hint=_PASSPORT,
    ),
    Pattern(kind="birth_date", expression=_BORN + rf"[^\n\x00]{{0,16}}?\b{_DATE}", hint=_BORN, refine=_date),
    Pattern(kind="phone", expression=r"(?:\+|\b00)[1-9](?:[ ().\/-]{0,2}\d){6,14}", refine=_abroad),
    Pattern(
        kind="phone",
        expression=_PHONE_WORD + r"[^\n\x00\d+]{0,24}(\(?\d(?:[ ().\/-]{0,2}\d){6,14})",
        hint=_PHONE_WORD,
        refine=_phone,
    ),
    Pattern(
        kind="phone",
        expression=r"(?:\(\d{3}\) ?|\b[2-9]\d{2}[.-])\d{3}[.-]\d{4}\b"  # US
        r"|\b0(?:7\d{3} ?\d{3} ?\d{3}|20 \d{4} \d{4}|1\d{2,3} \d{3} ?\d{3,4})\b"  # UK
        r"|\b01[567]\d[ /-]?\d{7,8}\b"  # Germany, mobile
        r"|\b0[1-9](?:[ .]\d{2}){4}\b",  # France
        refine=_phone,
    ),
)

KINDS: tuple[str, ...] = tuple(dict.fromkeys(pattern.kind for pattern in PATTERNS))
"""What can be looked for."""


@cache
def compiled(kinds: tuple[str, ...] = KINDS) -> Patterns:
    """The patterns of these kinds, compiled once in a process."""
    return Patterns([pattern for pattern in PATTERNS if pattern.kind in kinds])


def find_personal(text: str) -> dict[str, int]:
    """How much of each kind a text holds; a few microseconds per kilobyte where it holds nothing."""
    return dict(Counter(finding.kind for finding in compiled().find(text)))


class Personal(PatternCheck):
    """The check `pii`."""

    def __init__(self, kinds: Sequence[str] | None) -> None:
        super().__init__(compiled(KINDS if kinds is None else tuple(kind for kind in KINDS if kind in kinds)))
