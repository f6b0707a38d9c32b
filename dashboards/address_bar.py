"""Keeps filters whose choices carry counts in the address: Streamlit binds by label, and these labels change.

The address wins when it changed under the page (a link, back and forward); otherwise the widgets do.
"""

from collections.abc import Iterable, Sequence

import streamlit as st

from dashboards.urls import Filters, filters_of


def address_parameters() -> dict[str, list[str]]:
    """Return the address' parameters, each with all its values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def follow_address(names: Iterable[str]) -> Filters:
    """Bring the widgets of these filters in line with the address before they are drawn; return all that is asked for."""
    given = address_parameters()
    in_address = filters_of(given)
    held: dict[str, list[str]] = dict(given)
    for name in names:
        written = tuple(given.get(name, ()))
        if st.session_state.get(_written(name)) != written:
            st.session_state[name] = list(getattr(in_address, name))
            st.session_state[_written(name)] = written
        held[name] = list(st.session_state.get(name) or ())
    return filters_of(held)


def write_address(name: str, values: Sequence[str]) -> None:
    """Bring the address in line with what a widget holds, after it was drawn."""
    written = tuple(values)
    if st.session_state.get(_written(name)) == written:
        return
    st.session_state[_written(name)] = written
    if written:
        st.query_params[name] = list(written)
    else:
        st.query_params.pop(name, None)


def _written(name: str) -> str:
    return f"address:{name}"
