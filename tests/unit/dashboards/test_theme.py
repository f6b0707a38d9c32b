import itertools
import math
import re
from collections.abc import Sequence

import pytest

from dashboards.theme import PALETTES, Scheme, streamlit_flags, style_sheet

# How people with each kind of colour blindness see linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
APART_MIN = 0.125  # in OKLab, where 0.02 is just noticeable side by side


def linear(colour: str) -> list[float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def oklab(rgb: Sequence[float]) -> tuple[float, float, float]:
    r, g, b = rgb
    cones = (
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
        0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
    )
    long, medium, short = (math.copysign(abs(cone) ** (1 / 3), cone) for cone in cones)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def distance(one: str, other: str, sight: Sequence[Sequence[float]]) -> float:
    seen = [[min(max(sum(k * c for k, c in zip(row, linear(colour), strict=True)), 0), 1) for row in sight] for colour in (one, other)]
    return math.dist(oklab(seen[0]), oklab(seen[1]))


def contrast(one: str, other: str) -> float:
    light, dark = sorted(
        (sum(k * c for k, c in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True)) for colour in (one, other)), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_deny_would_deny_allow_and_warn_are_apart_for_every_eye(scheme: Scheme, sight: str) -> None:
    tones = PALETTES[scheme].tones
    for one, other in itertools.combinations(("allow", "warn", "logged", "deny", "audit"), 2):
        assert distance(tones[one], tones[other], SIGHTS[sight]) >= APART_MIN, (one, other)


@pytest.mark.parametrize("scheme", PALETTES)
def test_every_tone_and_text_stands_out_from_the_background(scheme: Scheme) -> None:
    palette = PALETTES[scheme]
    assert all(contrast(colour, palette.background) >= 3 for name, colour in palette.tones.items() if name != "none")
    assert contrast(palette.text, palette.background) >= 7
    assert contrast(palette.quiet, palette.background) >= 4.5
    assert contrast(palette.quiet, palette.surface) >= 4.5
    assert contrast(palette.background, palette.primary) >= 4.5  # the words of a button


def test_the_server_is_started_without_statistics_and_without_details_of_errors() -> None:
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in streamlit_flags(host="127.0.0.1", port=8501))
    assert flags["browser.gatherUsageStats"] == "false"
    assert flags["client.showErrorDetails"] == "none"
    assert flags["server.address"] == "127.0.0.1"


def test_no_page_of_another_site_is_let_in_whatever_a_file_of_streamlits_says() -> None:
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in streamlit_flags(host="127.0.0.1", port=8501))
    assert (flags["server.enableCORS"], flags["server.enableXsrfProtection"], flags["client.allowedOrigins"]) == ("true", "true", "nobody")


def test_no_style_and_no_flag_names_another_host() -> None:
    text = style_sheet("light").replace("http%3A//www.w3.org/2000/svg", "") + " ".join(streamlit_flags(host="127.0.0.1", port=1))
    assert not re.search(r"https?:|//[a-z]", text.replace("data:image", ""))
    assert "@import" not in text
