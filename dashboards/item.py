"""One thing that is set, in a box: what it is, what is to be known of it, and at the end what can be done with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from markupsafe import Markup

from dashboards import marks
from dashboards.edge import show


@contextmanager
def item(what: Markup, about: str | Markup, *, key: str) -> Iterator[None]:
    """Draw the box; buttons drawn within stand at its end, on a phone below."""
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"item-{key}"):
        with st.container(width="stretch", key=f"{key}-said"):
            show(marks.said('{}<p class="cz-quiet cz-line-quiet">{}</p>', what, about))
        yield
