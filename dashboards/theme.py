"""The look: one palette per theme, told apart by everybody, and the flags that make Streamlit wear it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from dashboards.marks import icon_styles
from dashboards.words import Tone

Scheme = Literal["light", "dark"]
STYLES: Final = Path(__file__).with_name("styles.css")


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one theme.

    `tones` were searched for distance in OKLab under normal sight and three kinds of colour blindness (Machado
    2009), at 3:1 or more against the background; a test keeps them so.
    """

    background: str
    surface: str
    sidebar: str
    border: str
    grid: str
    text: str
    quiet: str
    primary: str
    tones: Mapping[Tone, str]


PALETTES: Final[Mapping[Scheme, Palette]] = {
    "light": Palette(
        background="#FFFFFF",
        surface="#F6F7F9",
        sidebar="#F6F7F9",
        border="#DDE1E7",
        grid="#E9ECF0",
        text="#1B2330",
        quiet="#5B6573",
        primary="#3B4FC4",
        tones={"allow": "#3F97E2", "audit": "#1F7A7C", "warn": "#CC8410", "logged": "#7330A0", "deny": "#B3120C", "none": "#949596"},
    ),
    "dark": Palette(
        background="#10151D",
        surface="#19202B",
        sidebar="#0C1017",
        border="#2C3644",
        grid="#222B37",
        text="#E8ECF2",
        quiet="#9AA6B5",
        primary="#93A4FF",
        tones={"allow": "#6CACD8", "audit": "#66E6C2", "warn": "#ECAE08", "logged": "#B04ED8", "deny": "#EE2B45", "none": "#747E88"},
    ),
}


def streamlit_flags(*, host: str, port: int) -> list[str]:
    """Return the command-line flags every start of the pages uses; flags win over any config.toml lying about.

    No statistics, no look-up of this machine's public address (an address is given), no request for a
    name this server does not have, no error details in a page.
    """
    options: dict[str, object] = {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": 8,
        "server.enableStaticServing": False,
        "server.enableCORS": True,  # that is, that other sites are asked about
        "server.enableXsrfProtection": True,
        "client.allowedOrigins": "nobody",  # whose pages may steer these
        "browser.gatherUsageStats": False,
        "browser.serverAddress": host,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": False,
        "theme.baseRadius": "0.5rem",
        "theme.metricValueFontSize": "1.9rem",
        "theme.metricValueFontWeight": 600,
        "theme.headingFontSizes": ["1.75rem", "1.25rem", "1.05rem"],
        "theme.headingFontWeights": [650, 600, 600],
        "theme.paddingTop": "0.75rem",
        "theme.paddingBottom": "4rem",
        "theme.linkUnderline": False,
    }
    for scheme, palette in PALETTES.items():
        options |= {f"theme.{scheme}.{name}": value for name, value in _theme_options(palette).items()}
        options[f"theme.{scheme}.sidebar.backgroundColor"] = palette.sidebar
    return [f"--{name}={_flag(value)}" for name, value in options.items()]


def colours(scheme: Scheme) -> Palette:
    """Return the palette of the theme a browser shows."""
    return PALETTES[scheme]


@cache
def style_sheet(scheme: Scheme) -> str:
    """Return the pages' style sheet: the palette as variables that follow the theme, then styles.css.

    Dialogs and popovers lie outside of the page and are not told the theme by Streamlit, so they are told `scheme` here.
    """
    light, dark = PALETTES["light"], PALETTES["dark"]
    names: dict[str, tuple[str, str]] = {
        name: (getattr(light, name), getattr(dark, name))
        for name in ("background", "surface", "border", "grid", "text", "quiet", "primary")
    }
    names |= {f"{tone}-colour": (light.tones[tone], dark.tones[tone]) for tone in light.tones}
    variables = "".join(f"--cz-{name}:light-dark({day},{night});" for name, (day, night) in names.items())
    outside = ".stDialog,[data-testid=stPopoverBody]"
    return f":is(.stApp,{outside}){{{variables}}}\n:is({outside}){{color-scheme:{scheme}}}\n{icon_styles()}{STYLES.read_text(encoding='utf-8')}"


def _theme_options(palette: Palette) -> dict[str, object]:
    tones = palette.tones
    return {
        "primaryColor": palette.primary,
        "backgroundColor": palette.background,
        "secondaryBackgroundColor": palette.surface,
        "textColor": palette.text,
        "borderColor": palette.border,
        "linkColor": palette.primary,
        "codeBackgroundColor": palette.surface,
        "codeTextColor": palette.text,
        "redColor": tones["deny"],
        "orangeColor": tones["warn"],
        "yellowColor": tones["warn"],
        "greenColor": tones["audit"],
        "blueColor": tones["allow"],
        "violetColor": tones["logged"],
        "grayColor": palette.quiet,
        "chartCategoricalColors": list(tones.values()),
    }


def _flag(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
