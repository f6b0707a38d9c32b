"""Where pieces reach a page, and where what went wrong below becomes a sentence on it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
import structlog
from markupsafe import Markup

from controlzero.errors import Rejected, Tampered, Unavailable
from dashboards import marks
from dashboards.desk import NotHere

log_line = structlog.get_logger("dashboards")


def show(piece: Markup) -> None:
    """Put a piece of HTML on the page; there is no other way for text of agents to get there."""
    st.html(str(piece))


@contextmanager
def edge() -> Iterator[None]:
    """Turn what went wrong below into one sentence with the way out; a defect gets a reference into the log."""
    try:
        yield
    except NotHere as missing:
        show(marks.empty("Not found", f"{missing} It may belong to another project, or its retention has passed."))
    except Unavailable as down:
        show(marks.banner("warn", f"Not available now: {down}. The page tries again when it is next drawn.", icon_name="clock"))
    except (Rejected, Tampered) as refused:
        show(marks.banner("deny", marks.sentence(str(refused)), icon_name="stop"))
    except Exception:  # the edge: nothing below it may show a traceback
        reference = secrets.token_hex(4)
        log_line.exception("a page could not be drawn", reference=reference)
        text = marks.said("This part of the page could not be drawn. Its reference is <b>{}</b>; the dashboards' log says why.", reference)
        show(marks.banner("deny", text, icon_name="stop"))
