"""What `python -m dashboards` has Streamlit serve: the pages, behind their doorway."""

from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit.starlette import App

from dashboards.doorway import Doorway
from dashboards.settings import Settings


async def first_page(request: Request) -> RedirectResponse:
    """Lead to the overview, which is at the root, from the name it would have if it were a page as the others are."""
    return RedirectResponse(f"./?{request.url.query}")


app = App(
    Path(__file__).with_name("app.py"),
    routes=[Route("/overview", first_page)],
    middleware=[Middleware(Doorway, names=Settings().names)],
)
