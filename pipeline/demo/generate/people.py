"""The users who send events: each has stable ids, a home, a device and a clock of its own.

A user is made from the seed and the user's rank alone, so it is the same whenever it is met and
need not be kept.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from functools import lru_cache, partial
from itertools import accumulate
from typing import Any, Final, NamedTuple

from pipeline.core.timestamps import DAY, MINUTE
from pipeline.demo.generate.dice import Dice, weighted

_KEPT_USERS: Final = 8192
_BYTE: Final = 256
_SHARE_KNOWN: Final = 192
"""Number of users in 256 who have ever signed in; the others have only an anonymousId."""
_SHARE_NUMBERED: Final = 40
"""Number of users in 256 whose id is a row number of some database."""


class Home(NamedTuple):
    """The home of a user."""

    locale: str
    timezone: str
    currency: str


HOMES: Final = weighted(
    (
        (Home("en-US", "America/New_York", "USD"), 62),
        (Home("en-US", "America/Los_Angeles", "USD"), 48),
        (Home("de-DE", "Europe/Berlin", "EUR"), 26),
        (Home("fr-FR", "Europe/Paris", "EUR"), 18),
        (Home("es-ES", "Europe/Madrid", "EUR"), 12),
        (Home("en-GB", "Europe/London", "GBP"), 30),
        (Home("ja-JP", "Asia/Tokyo", "JPY"), 14),
        (Home("en-CA", "America/Toronto", "CAD"), 12),
        (Home("en-AU", "Australia/Sydney", "AUD"), 9),
        (Home("hi-IN", "Asia/Kolkata", "INR"), 9),
        (Home("pt-BR", "America/Sao_Paulo", "BRL"), 6),
        (Home("sv-SE", "Europe/Stockholm", "SEK"), 4),
        (Home("pl-PL", "Europe/Warsaw", "PLN"), 3),
        (Home("de-CH", "Europe/Zurich", "CHF"), 3),
    )
)
"""A list of 256 homes, so that one byte selects one."""

DEVICES: Final = weighted((("browser", 160), ("ios", 50), ("android", 46)))

_FIRST: Final = ("Ada", "Björn", "Chloë", "Dmitri", "Emily", "Fatima", "José", "さくら")
_LAST: Final = ("Andersson", "García", "Kowalski", "Lovelace", "Müller", "O'Neill", "Singh", "佐藤")
_PLANS: Final = ("Free", "Free", "Pro Monthly", "Pro Annual", "Enterprise")
_DOCUMENTATION_NETWORKS: Final = ("192.0.2", "198.51.100", "203.0.113")


class User(NamedTuple):
    """One person, or one browser that has not signed in."""

    key: bytes
    """Kafka key of the user's events: the userId, or the anonymousId without one."""
    user_id: str | None
    number: int | None
    """The userId as sent by servers that store ids as numbers."""
    anonymous_id: str
    device: str
    """Kind of device, one of DEVICES."""
    choice: int
    """Number from 0 to 255 that selects the device model, browser and network."""
    home: Home
    ip: str
    clock_error: int
    """Milliseconds by which the device's clock is ahead."""
    traits: dict[str, Any]


def make_user(seed: int, rank: int) -> User:
    """Make the user of this rank; rank 0 sends most events."""
    digest = hashlib.blake2b(b"%d/%d" % (seed, rank), digest_size=32).digest()
    text = digest.hex()
    anonymous_id = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"
    known = digest[16] < _SHARE_KNOWN
    numbered = known and digest[16] < _SHARE_NUMBERED
    number = int.from_bytes(digest[20:23], "big") + 1 if numbered else None
    user_id = (str(number) if numbered else f"usr_{text[40:52]}") if known else None
    return User(
        key=(user_id or anonymous_id).encode(),
        user_id=user_id,
        number=number,
        anonymous_id=anonymous_id,
        device=DEVICES[digest[17]],
        choice=digest[18],
        home=HOMES[digest[19]],
        ip=_ip(digest[26], digest[27], text[56:60]),
        clock_error=_clock_error(digest[30], digest[31]),
        traits=_traits(rank, digest[28], digest[29]),
    )


def _ip(network: int, host: int, interface: str) -> str:
    if network % 4 == 0:
        return f"2001:db8:{network:x}:{host:x}::{interface}"
    return f"{_DOCUMENTATION_NETWORKS[network % 3]}.{host}"


def _clock_error(kind: int, size: int) -> int:
    """Draw a clock error: mostly a second or two, sometimes minutes or hours."""
    offset = size - _BYTE // 2
    if kind < 200:  # noqa: PLR2004  of 256
        return offset * 10
    return offset * (MINUTE // 30) if kind < 250 else offset * (DAY // _BYTE)  # noqa: PLR2004


def _traits(rank: int, first: int, last: int) -> dict[str, Any]:
    first_name, last_name = _FIRST[first % len(_FIRST)], _LAST[last % len(_LAST)]
    return {
        "username": f"testing-{rank}",
        "email": f"user{rank}@mail.example",
        "firstName": first_name,
        "lastName": last_name,
        "plan": _PLANS[(first + last) % len(_PLANS)],
        "logins": first * last % 997,
    }


class Population:
    """Users distributed by Zipf's law: the user of rank n acts 1/n as often as the first."""

    def __init__(self, seed: int, users: int) -> None:
        # accumulate() adds plainly in every Python; sum() compensates since 3.12.
        self._cumulative = array("d", accumulate(1 / rank for rank in range(1, users + 1)))
        self._total = self._cumulative[-1]
        self._user = lru_cache(_KEPT_USERS)(partial(make_user, seed))

    def pick(self, dice: Dice) -> User:
        """Draw the user who acts next."""
        return self._user(bisect_left(self._cumulative, dice.random() * self._total))
