"""The choice of one of a project's environments, where it has any."""

from typing import Final

import streamlit as st

from dashboards.desk import View

ALL: Final = "all of them"


def environment_asked(view: View, *, key: str) -> str | None:
    """Ask for an environment; None is all of them, and no question in a project without any."""
    environments = [each.name for each in view.plane.list_environments(view.project.project_id)]
    chosen = st.selectbox("In environment", [ALL, *environments], key=key) if environments else ALL
    return None if chosen == ALL else chosen
