"""What `python -m dashboards` has Streamlit serve: the pages, behind their doorway."""

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from dashboards.doorway import Doorway
from dashboards.settings import Settings

app = App(Path(__file__).with_name("app.py"), middleware=[Middleware(Doorway, names=Settings().names)])
