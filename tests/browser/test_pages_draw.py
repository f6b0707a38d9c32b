"""Every page, at two widths, in both themes, with a fortnight of data and with none: drawn, and looked at by people as CI output."""

from collections.abc import Callable

import pytest

from dashboards.views import PAGES
from tests.browser.conftest import SCREENSHOTS, Server, Visit
from tests.ledgers import Grown

NAMES = [page.name for page in PAGES]
TEACHING = {"overview", "decisions", "findings", "rollout", "pipeline"}
TALL_PX = 4_000


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_draws_a_fortnight(
    name: str, width: int, theme: str, browse: Callable[..., Visit], grown_server: Server, grown: Grown
) -> None:
    visit = browse(width=width, theme=theme)
    visit.open(f"{grown_server.url}/{'' if name == 'overview' else name}?project=default&range=14d&id={grown.denied_logged}")
    picture(visit, f"{name}-{theme}-{width}", width)
    visit.check()
    assert "No decision yet" not in visit.text()
    visit.page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_without_data_teaches(name: str, width: int, theme: str, browse: Callable[..., Visit], empty_server: Server) -> None:
    visit = browse(width=width, theme=theme)
    visit.open(f"{empty_server.url}/{'' if name == 'overview' else name}")
    picture(visit, f"empty-{name}-{theme}-{width}", width)
    visit.check()
    if name in TEACHING:
        assert "CONTROLZERO_API_KEY" in visit.text()
    visit.page.close()


def picture(visit: Visit, name: str, width: int) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.wait_for_timeout(400)  # charts fade in for 250 ms
    height = visit.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    visit.page.set_viewport_size({"width": width, "height": min(max(height + 20, 700), TALL_PX)})
    visit.page.wait_for_timeout(300)
    visit.page.screenshot(path=SCREENSHOTS / f"{name}.png")
