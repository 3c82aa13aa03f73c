"""How times and rates are written on the command line."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dsaecodec.argument_values import parse_clock
from dsaecodec.rate import parse_fps


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", Fraction(25)),
        ("12.5", Fraction(25, 2)),
        ("30", Fraction(30)),
        ("30.00", Fraction(30)),
        ("29.97", Fraction(30000, 1001)),
        ("29.97002997002997", Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("119.88", Fraction(120000, 1001)),
        ("29.9", Fraction(299, 10)),
        ("30000/1001", Fraction(30000, 1001)),
        ("2997/100", Fraction(2997, 100)),
        ("0.5", Fraction(1, 2)),
    ],
)
def test_rates(text: str, rate: Fraction) -> None:
    assert parse_fps(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-25", "nan", "inf", "1/0", "25fps", "1e9"])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_fps(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", Fraction(0)),
        ("12.5", Fraction(25, 2)),
        ("90", Fraction(90)),
        ("1:02.5", Fraction(125, 2)),
        ("75:00", Fraction(4500)),
        ("0:01:02", Fraction(62)),
        ("2:00:00.25", Fraction(28801, 4)),
    ],
)
def test_times(text: str, seconds: Fraction) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "1:75", "1:60:00", ":5", "1:2:3:4", "1.", "1e3"]
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_clock(text)
