"""A text area that is heard as it is typed in, so that what is wrong with the text shows beside it."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import streamlit as st
import streamlit.components.v2 as components

PAUSE_MS: Final = 400  # of typing, before what stands there is looked at
HEIGHT_PX: Final = 320


def editor(label: str, *, key: str, placeholder: str) -> str:
    """Draw the area and return what is in it."""
    text = st.text_area(label, key=key, height=HEIGHT_PX, placeholder=placeholder)
    _listen()(data={"area": key, "pause_ms": PAUSE_MS}, key=f"{key}-typing", height=1)
    return text or ""


@cache
def _listen() -> Any:  # Streamlit's component: its type is private
    return components.component("controlzero_typing", js=Path(__file__).with_name("typing.js").read_text())
