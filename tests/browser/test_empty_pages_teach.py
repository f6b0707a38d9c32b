"""Every page, at two widths, in both themes, over a new data folder: it says what will be there and how to begin."""

from collections.abc import Callable

import pytest

from dashboards.views import PAGES
from tests.browser.conftest import Server, Visit

NAMES = [page.name for page in PAGES]
TEACHING = {"overview", "decisions", "findings", "rollout", "pipeline"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_data_teaches(name: str, width: int, theme: str, browse: Callable[..., Visit], empty_server: Server) -> None:
    visit = browse(width=width, theme=theme)
    visit.open(f"{empty_server.url}/{'' if name == 'overview' else name}")
    visit.picture(f"empty-{name}-{theme}-{width}", width)
    visit.check()
    if name in TEACHING:
        assert "CONTROLZERO_API_KEY" in visit.text()
    visit.page.close()
