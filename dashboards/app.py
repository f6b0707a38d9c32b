"""The pages' entry: one navigation, one frame, a module per page."""

from collections.abc import Mapping
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import streamlit as st
import streamlit.components.v2 as components

from dashboards import frame
from dashboards.desk import Desk, open_desk
from dashboards.frame import Page, kept_parameters
from dashboards.settings import Settings
from dashboards.views import PAGES

SIDEBAR_PX: Final = 208
LOGO: Final = Path(__file__).with_name("logo.svg")
ICON: Final = Path(__file__).with_name("icon.svg")
MENU: Final = Path(__file__).with_name("menu.js")


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """Open the data folder once for all sessions of this server."""
    return open_desk(Settings())


def main() -> None:
    """Draw the page the address names."""
    st.set_page_config(page_title="Control Zero", page_icon=str(ICON), layout="wide", initial_sidebar_state=SIDEBAR_PX)
    st.logo(str(LOGO), size="large", icon_image=str(ICON))
    with frame.edge():  # the data folder or the database may not be there to open
        pages = {page: _streamlit_page(page) for page in PAGES}
        chosen = st.navigation(list(pages.values()), position="hidden")
        _sidebar({page: drawn for page, drawn in pages.items() if not page.hidden})
        chosen.run()


def _streamlit_page(page: Page) -> st.Page:
    run = partial(frame.run, page, desk())
    run.__name__ = page.name  # type: ignore[attr-defined]  # Streamlit names a page's function
    return st.Page(run, title=page.title, icon=page.icon, url_path=page.name, default=page.name == "overview", help=page.summary)


def _sidebar(pages: Mapping[Page, st.Page]) -> None:
    """Draw the navigation: our own, because Streamlit's forgets the project and the time."""
    kept = kept_parameters()
    with st.sidebar:
        for section, members in groupby(pages, key=lambda page: page.section):
            st.caption(section)
            with st.container(gap=None, key=f"nav-{section}"):
                for page in members:
                    st.page_link(pages[page], query_params=kept, width="stretch")
        _menu()(key="menu", height=1)


@cache
def _menu() -> Any:  # Streamlit's component: its type is private
    return components.component("controlzero_menu", js=MENU.read_text())


main()
