"""Every page, at two widths, in both themes, with a fortnight of data: drawn, and looked at by people as CI output."""

from collections.abc import Callable

import pytest

from dashboards.views import PAGES
from tests.browser.conftest import Server, Visit
from tests.ledgers import Grown

NAMES = [page.name for page in PAGES]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_draws_a_fortnight(
    name: str, width: int, theme: str, browse: Callable[..., Visit], grown_server: Server, grown: Grown
) -> None:
    visit = browse(width=width, theme=theme)
    visit.open(f"{grown_server.url}/{'' if name == 'overview' else name}?project=default&range=14d&id={grown.denied_logged}")
    visit.picture(f"{name}-{theme}-{width}", width)
    visit.check()
    assert "No decision yet" not in visit.text()
    visit.page.close()
