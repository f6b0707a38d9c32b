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
    return TestClient(Doorway(Starlette(routes=[page, WebSocketRoute("/stream", stream)])), base_url=HERE)


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


def test_no_other_site_shows_a_page_in_a_frame(browser: TestClient) -> None:
    sent = browser.get("/").headers
    assert (sent["content-security-policy"], sent["x-frame-options"]) == ("frame-ancestors 'self'", "SAMEORIGIN")
