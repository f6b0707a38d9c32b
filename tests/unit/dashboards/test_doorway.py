"""The doorway of the pages: pages of other sites neither reach them nor frame them."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboards.doorway import Doorway

HERE = "http://127.0.0.1:8501"


@pytest.fixture
def browser() -> TestClient:
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("welcome")

    page = Route("/", lambda _: PlainTextResponse("a page"))
    return TestClient(Doorway(Starlette(routes=[page, WebSocketRoute("/stream", stream)]), names={"audit.acme.example"}), base_url=HERE)


@pytest.mark.parametrize("origin", [None, HERE, "https://127.0.0.1"])
def test_the_pages_reach_their_own_server(browser: TestClient, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert browser.get("/", headers=headers).text == "a page"
    with browser.websocket_connect("ws://127.0.0.1:8501/stream", headers=headers) as socket:
        assert socket.receive_text() == "welcome"


@pytest.mark.parametrize("origin", ["http://evil.example", "https://any.streamlit.app", "null", "http://127.0.0.1.evil.example:8501", "x"])
def test_a_page_of_another_site_is_refused_before_anything_is_looked_at(browser: TestClient, origin: str) -> None:
    assert browser.get("/", headers={"Origin": origin}).status_code == 403
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("ws://127.0.0.1:8501/stream", headers={"Origin": origin}):
        pass


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost:8501", "[::1]:8501", "10.0.0.7", "audit.acme.example", "AUDIT.acme.example:443"]
)
def test_the_pages_are_served_by_address_and_under_the_names_given(browser: TestClient, host: str) -> None:
    assert browser.get("/", headers={"Host": host}).text == "a page"


@pytest.mark.parametrize("host", ["rebound.evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example", "[", "a b"])
def test_a_name_made_to_mean_this_machine_is_refused_though_the_origin_fits_it(browser: TestClient, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    refused = browser.get("/", headers=headers)
    assert refused.status_code == 421
    assert "CZ_DASHBOARDS_NAMES" in refused.text
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("ws://127.0.0.1:8501/stream", headers=headers):
        pass


def test_no_other_site_shows_a_page_in_a_frame(browser: TestClient) -> None:
    sent = browser.get("/").headers
    assert (sent["content-security-policy"], sent["x-frame-options"]) == ("frame-ancestors 'self'", "SAMEORIGIN")
