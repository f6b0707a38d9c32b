"""The pages' entry: one navigation, one frame, a module per page."""

from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st

from dashboards import frame
from dashboards.desk import Desk, open_desk
from dashboards.settings import Settings
from dashboards.views import PAGES

SIDEBAR_PX: Final = 208
LOGO: Final = Path(__file__).with_name("logo.svg")
ICON: Final = Path(__file__).with_name("icon.svg")


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """Open the data folder once for all sessions of this server."""
    return open_desk(Settings())


def main() -> None:
    """Draw the page the address names."""
    st.set_page_config(page_title="Control Zero", page_icon=str(ICON), layout="wide", initial_sidebar_state=SIDEBAR_PX)
    st.logo(str(LOGO), size="large", icon_image=str(ICON))
    sections: dict[str, list[st.Page]] = {}
    for page in PAGES:
        run = partial(frame.run, page, desk())
        run.__name__ = page.name  # type: ignore[attr-defined]  # Streamlit names a page's function
        sections.setdefault(page.section, []).append(
            st.Page(
                run,
                title=page.title,
                icon=page.icon,
                url_path=page.name,
                default=page.name == "overview",
                visibility="hidden" if page.hidden else "visible",
                help=page.summary,
            )
        )
    st.navigation(sections).run()


main()
