"""The gateway's reference at /docs, as a browser lays it out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controlplane.api.app import api_app, openapi_of
from controlplane.api.opening import Opened
from controlplane.service import ControlPlane
from controlzero.errors import Unavailable
from ingest.reference import reference_page
from tests.browser.conftest import Visit


@contextmanager
def away() -> Iterator[ControlPlane]:
    raise Unavailable("nothing is asked")
    yield


def test_the_longest_path_is_read_on_a_phone_without_scrolling_sideways(browse: Callable[..., Visit]) -> None:
    page = browse(width=390).page
    page.set_content(reference_page(openapi_of(api_app(Opened(away)))))  # type: ignore[attr-defined]
    assert "/v1/projects/{project_id}/policy/rules/{rule_id}/mode" in page.inner_text("body")  # type: ignore[attr-defined]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # type: ignore[attr-defined]
    page.close()  # type: ignore[attr-defined]
