"""Arithmetic that gives the same bytes on every host and Python: stored values are rounded to 1e-9.

``math.exp`` and ``math.log`` come from the host's C library, whose last bit differs between hosts. Those here use
IEEE 754 addition, multiplication and division and exact scaling by powers of two only, so they don't.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

_DIGITS = 9
_LN2_HI: Final = float.fromhex("0x1.62e42fee00000p-1")
"""The upper 32 bits of ln 2: its product with an exponent is exact (fdlibm, ``e_exp.c``)."""
_LN2_LO: Final = float.fromhex("0x1.a39ef35793c76p-33")
_INVERSE_FACTORIALS: Final = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))
_INVERSE_ODDS: Final = tuple(1.0 / n for n in range(23, 0, -2))
_SQRT_HALF: Final = float.fromhex("0x1.6a09e667f3bcdp-1")
_EXP_LEAST: Final = -745.2
"""Below it the exponential is zero in 64 bits."""


def stored(value: float) -> float:
    """Return a value as it is stored: rounded to 1e-9, and never -0.0."""
    return round(value, _DIGITS) + 0.0


def draw(identity: str) -> float:
    """Return a number in [0, 1) that depends on nothing but ``identity``: chance that can be recomputed."""
    top = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6], "big")
    return top / (1 << 48)


def exp(value: float) -> float:
    """Return e to the power of ``value``, within two units of the last place; ``OverflowError`` above 709.78.

    Reduction by multiples of ln 2 to at most 0.347, then the Taylor polynomial of degree 13.
    """
    if value < _EXP_LEAST:
        return 0.0
    power = math.floor(value / (_LN2_HI + _LN2_LO) + 0.5)
    rest = (value - power * _LN2_HI) - power * _LN2_LO
    total = 0.0
    for coefficient in _INVERSE_FACTORIALS:
        total = total * rest + coefficient
    return math.ldexp(total, power)


def log(value: float) -> float:
    """Return the natural logarithm, within two units of the last place; ``ValueError`` unless positive and finite.

    A power of two is taken out, and 2·artanh((m - 1) / (m + 1)) of the rest m in [√½, √2) is summed to degree 23.
    """
    if not 0.0 < value < math.inf:
        raise ValueError(f"no logarithm of {value}")
    mantissa, power = math.frexp(value)
    if mantissa < _SQRT_HALF:
        mantissa, power = 2.0 * mantissa, power - 1
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square, total = ratio * ratio, 0.0
    for coefficient in _INVERSE_ODDS:
        total = total * square + coefficient
    return power * _LN2_HI + (power * _LN2_LO + 2.0 * ratio * total)


def logistic(value: float) -> float:
    """Return 1 / (1 + exp(-``value``)), in 0..1 for every number."""
    if value >= 0.0:
        return 1.0 / (1.0 + exp(-value))
    small = exp(value)
    return small / (1.0 + small)
