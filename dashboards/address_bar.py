"""Keeps widgets and the page's address in line, so that any view can be shared and the browser's back brings it back.

The address wins when it changed under the page (a link, back and forward); otherwise the widget does. Streamlit's own binding
is not used: it goes by labels, which carry counts here, and it takes defaults out of the address, one more step of the
history each, so that back would do nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import streamlit as st

from dashboards.urls import Filters, filters_of

PAGE: Final = "address-page"
SEEN: Final = "address:"
T = TypeVar("T")


def begin_page(name: str) -> None:
    """Let the address speak first where the page is another than the last time: its widgets are new, whatever their names."""
    if st.session_state.get(PAGE) != name:
        for key in [key for key in st.session_state if str(key).startswith(SEEN)]:
            del st.session_state[key]
        st.session_state[PAGE] = name


def follow_value(name: str, *, default: T, parse: Callable[[str], T | None]) -> T:
    """Bring a widget with one value in line with the address before it is drawn; return what it holds."""
    given = tuple(st.query_params.get_all(name))
    if _is_new(name, given):
        parsed = parse(given[0]) if given else None
        st.session_state[name] = default if parsed is None else parsed
    held: T = st.session_state[name]
    return held


def write_value(name: str, value: T, *, default: T, text: Callable[[T], str] = str) -> None:
    """Bring the address in line with a widget after it was drawn; a default that nobody named stays unnamed."""
    if value == default and not st.session_state.get(_seen(name)):
        return
    _write(name, (text(value),))


def follow_filters(names: Iterable[str]) -> Filters:
    """Bring the widgets of these filters in line with the address before they are drawn; return all that is asked for."""
    given = {name: st.query_params.get_all(name) for name in st.query_params}
    in_address = filters_of(given)
    held: dict[str, list[str]] = dict(given)
    for name in names:
        if _is_new(name, tuple(given.get(name, ()))):
            st.session_state[name] = list(getattr(in_address, name))
        held[name] = list(st.session_state[name])
    return filters_of(held)


def write_filter(name: str, values: Sequence[str]) -> None:
    """Bring the address in line with what the widget of a filter holds, after it was drawn."""
    _write(name, tuple(values))


def _is_new(name: str, given: tuple[str, ...]) -> bool:
    """Say whether the address says something the widget does not know; Streamlit forgets widgets of other pages."""
    if st.session_state.get(_seen(name)) == given and name in st.session_state:
        return False
    st.session_state[_seen(name)] = given
    return True


def _write(name: str, values: tuple[str, ...]) -> None:
    if st.session_state.get(_seen(name)) == values:
        return
    st.session_state[_seen(name)] = values
    if values:
        st.query_params[name] = list(values)
    else:
        st.query_params.pop(name, None)


def _seen(name: str) -> str:
    return f"{SEEN}{name}"
