"""Whether a number can be what it looks like: the check digits of cards, accounts, tax and identity numbers. Pure.

Each takes the digits (and letters) alone, in capitals, without spaces.
"""

from __future__ import annotations

import hashlib

IBAN_LENGTHS: dict[str, int] = {
    code: int(length)
    for code, length in (
        pair.split(":")
        for pair in (
            "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 "
            "DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 "
            "HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 "
            "MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 "
            "RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 "
            "VA:22 VG:24 XK:20 YE:30"
        ).split()
    )
}
"""How long an account number of each country is."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FISCAL_ODD: dict[str, int] = {
    char: int(value)
    for chars, values in (
        ("0123456789", "1 0 5 7 9 13 15 17 19 21"),
        ("ABCDEFGHIJ", "1 0 5 7 9 13 15 17 19 21"),
        ("KLMNOPQRSTUVWXYZ", "2 4 18 20 11 3 6 8 12 14 16 10 22 25 24 23"),
    )
    for char, value in zip(chars, values.split(), strict=True)
}
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def luhn(digits: str) -> bool:
    """Payment cards."""
    total = sum(int(digit) for digit in digits[-1::-2])
    total += sum(divmod(int(digit) * 2, 10)[0] + int(digit) * 2 % 10 for digit in digits[-2::-2])
    return total % 10 == 0


def iban(account: str) -> bool:
    """ISO 13616: the length of the country, and 97."""
    if IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    return int("".join(str(int(char, 36)) for char in account[4:] + account[:4])) % 97 == 1


def german_tax_id(digits: str) -> bool:
    """Steuer-Identifikationsnummer: ISO 7064 MOD 11,10, and one digit of the first ten two or three times."""
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if digits[0] == "0" or counts[-1] not in (2, 3) or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def spanish_id(number: str) -> bool:
    """DNI and NIE: a letter for the remainder by 23."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(digits) % 23] == number[-1]


def italian_fiscal_code(code: str) -> bool:
    """Codice fiscale: the last letter."""
    odd = sum(_FISCAL_ODD[char] for char in code[:15:2])
    even = sum(int(char) if char.isdigit() else ord(char) - 65 for char in code[1:15:2])
    return chr(65 + (odd + even) % 26) == code[15]


def french_social_security(number: str) -> bool:
    """NIR: 97 less the remainder; Corsica's 2A and 2B count as 19 and 18."""
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and 97 - int(body) % 97 == int(number[13:])


def dutch_citizen(digits: str) -> bool:
    """BSN: the eleven test."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return total % 11 == 0 and digits != "000000000"


def us_social_security(digits: str) -> bool:
    """SSN: no check digit, but numbers that are never given."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def british_insurance(number: str) -> bool:
    """NINO: prefixes that are never given."""
    return number[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def bitcoin(address: str) -> bool:
    """Base58Check, and Bech32 or Bech32m."""
    if address[:3].lower() == "bc1":
        return _bech32(address)
    number = 0
    for char in address:
        number = number * 58 + _BASE58.index(char)
    if number >= 1 << 200:
        return False
    raw = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def _bech32(address: str) -> bool:
    if address.lower() != address and address.upper() != address:
        return False
    values = [3, 3, 0, 2, 3, *(_BECH32.index(char) for char in address[3:].lower())]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
