"""What surrounds every page: its toolbar, the orders in force, its freshness."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import streamlit as st
from markupsafe import Markup

from dashboards import marks, stopping, words
from dashboards.address_bar import begin_page, follow_value, write_value
from dashboards.desk import Asked, Desk, View, api_url
from dashboards.edge import edge as edge  # views take both from here
from dashboards.edge import show as show
from dashboards.settings import DEFAULT_HOME
from dashboards.theme import Scheme, style_sheet
from dashboards.urls import PageName, address
from dashboards.window import CUSTOM, PRESET_DEFAULT, PRESETS, parse_moment

REFRESH_S: Final = 2.0
FRESH_S: Final = 30.0  # agents at work are heard of within seconds; past this the badge stops glowing
STALE_S: Final = 15 * 60.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: its address, what it is called, and what it draws."""

    name: PageName
    title: str
    icon: str
    section: str
    show: Callable[[View], None]
    summary: str
    toolbar: Literal["live", "time", "project"] = "time"
    hidden: bool = False


def run(page: Page, desk: Desk) -> None:
    """Draw a page within its frame."""
    show(Markup("<style>{}</style>").format(Markup(style_sheet(_scheme()))))  # noqa: S704 - our own file
    begin_page(page.name)
    with edge():
        asked = _toolbar(page, desk)
        if asked:
            stopping.orders_in_force(desk, asked.project_id)
            with desk.look(asked) as view:
                page.show(view)


def kept_parameters() -> dict[str, str]:
    """Return what the toolbar asks for, as it stays in the address when the page changes."""
    held = {name: st.session_state.get(name, st.query_params.get(name)) for name in ("project", "range")}
    if held["range"] == CUSTOM:
        held |= {name: st.query_params.get(name) for name in ("from", "until")}
    return {name: text for name, text in held.items() if text}


def live(view: View, draw: Callable[[View], None], *, every_s: float | None) -> None:
    """Draw a part of a page that draws itself anew, on its own, for as long as the page is open."""

    def draw_now() -> None:
        with edge(), view.desk.look(view.asked) as now:
            draw(now)

    st.fragment(draw_now, run_every=every_s)()


def freshness(view: View) -> Markup:
    """Say when this project was last heard of; histories that were imported do not count as news."""
    heard_at: datetime | None = view.answers.row("freshness").get("received_at")
    if heard_at is None:
        return marks.said('<span class="cz-fresh cz-fresh-none"><i></i>no live data yet</span>')
    age_s = (view.now - heard_at).total_seconds()
    title = f"newest record received {words.moment(heard_at)} UTC"
    if age_s > STALE_S:
        return marks.said(
            '<span class="cz-fresh cz-fresh-stale" title="{}"><i></i>no data since {} UTC</span>', title, _since(heard_at, view.now)
        )
    state = "live" if age_s <= FRESH_S else "recent"
    return marks.said(
        '<span class="cz-fresh cz-fresh-{}" title="{}"><i></i>newest decision {}</span>', state, title, words.ago(heard_at, now=view.now)
    )


def connect_an_agent(view: View) -> None:
    """Teach the two lines that make a first decision, where a project has none."""
    show(
        marks.empty(
            "No decision yet",
            marks.said(
                "Project <b>{}</b> is in mode {} and waits for its first agent. {}, then run these two lines where the agent runs:",
                view.project.project_id,
                marks.mode_pill(view.project.mode),
                marks.link("Make a key", address("keys", project=view.project.project_id)),
            ),
        )
    )
    st.code(
        f"export CONTROLZERO_API_KEY=$(cz keys create --project {view.project.project_id}{home_option(view)}) CONTROLZERO_BASE_URL={api_url(view.settings)}\n"
        "python -c \"import controlzero; print(controlzero.Client().guard('llm', method='generate', args={'model': 'gpt-5.4'}))\"",
        language="bash",
        wrap_lines=True,
    )
    text = "It shows here within a second. Recorded traffic does as well: <code>cz import FILE --project {}{}</code>"
    show(marks.quiet(marks.said(text, view.project.project_id, home_option(view))))


def home_option(view: View) -> str:
    """Return the option that names the data folder, where it is not the one every command takes."""
    home = view.settings.home
    return "" if home.absolute() == DEFAULT_HOME.absolute() else f" --home {shlex.quote(str(home.absolute()))}"


def _toolbar(page: Page, desk: Desk) -> Asked | None:
    ids = [project.project_id for project in desk.plane.list_projects()]
    wanted = st.query_params.get("project")
    st.set_page_config(page_title=f"{page.title} · Control Zero")
    if not ids or (wanted is not None and wanted not in ids):
        _without_project(page, desk, ids, wanted)
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", key="toolbar"):
        with st.container(key="toolbar-title", width="stretch"):
            show(marks.said('<h1 class="cz-title">{}</h1>', page.title))
        follow_value("project", default=ids[0], parse=lambda text: text if text in ids else None)
        project_id = st.selectbox("Project", ids, key="project", width=170, filter_mode=None, label_visibility="collapsed")
        write_value("project", project_id, default=ids[0])
        stopping.stop_button(desk, project_id)
        range_name = _range() if page.toolbar != "project" else PRESET_DEFAULT
        is_live = page.toolbar == "live" and toggle("Live", name="live", default=True, help_text="Draw this page anew every two seconds.")
    custom_from_at, custom_until_at = _custom_range(desk.clock()) if range_name == CUSTOM else (None, None)
    return Asked(
        project_id=project_id,
        range_name=range_name,
        custom_from_at=custom_from_at,
        custom_until_at=custom_until_at,
        is_live=is_live,
        scheme=_scheme(),
    )


def _scheme() -> Scheme:
    return "dark" if st.context.theme.type == "dark" else "light"


def _without_project(page: Page, desk: Desk, ids: list[str], wanted: str | None) -> None:
    """Say that there is no project yet, or none of that name, and lead to those there are."""
    show(marks.said('<h1 class="cz-title">{}</h1>', page.title))
    if not ids:
        text = marks.said(
            "Start the product with <code>cz up</code>: it makes the project <b>default</b>. Or make one: <code>cz project create ID</code>"
        )
        show(marks.empty("No project yet", text))
        return
    links = marks.joined((marks.link(each, address(page.name, project=each)) for each in ids), ", ")
    if wanted in [project.project_id for project in desk.plane.list_projects(archived=True) if project.archived_at is not None]:
        _archived(wanted, links)
        return
    text = marks.said("It may have another name, or live in another data folder. There is: {}.", links)
    show(marks.empty(f"There is no project {wanted}", text))
    chosen = st.selectbox("Project", ids, index=None, placeholder="Choose a project", key="project-there-is", width=260, filter_mode=None)
    if chosen:
        st.query_params["project"] = chosen
        st.rerun()


def _archived(project_id: str | None, links: Markup) -> None:
    text = (
        "What agents send to it is refused. Nothing recorded was deleted: <code>cz project restore {}</code> takes it back. There is: {}."
    )
    show(marks.empty(f"Project {project_id} is archived", marks.said(text, project_id, links)))


def toggle(label: str, *, name: str, default: bool, help_text: str) -> bool:
    """Draw a toggle whose state is in the address."""
    follow_value(name, default=default, parse={"true": True, "false": False}.get)
    is_on = st.toggle(label, key=name, help=help_text)
    write_value(name, is_on, default=default, text=lambda value: str(value).lower())
    return is_on


def _range() -> str:
    names = [*PRESETS, CUSTOM]
    follow_value("range", default=PRESET_DEFAULT, parse=lambda text: text if text in names else None)
    name = st.segmented_control("Time (UTC)", names, key="range", required=True, label_visibility="collapsed") or PRESET_DEFAULT
    write_value("range", name, default=PRESET_DEFAULT)
    return name


def _custom_range(now: datetime) -> tuple[datetime, datetime]:
    hour = now.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    with st.container(horizontal=True, vertical_alignment="bottom", key="toolbar-custom"):
        from_at = _moment("From (UTC)", "from", hour - timedelta(days=1))
        until_at = _moment("Until (UTC)", "until", hour + timedelta(hours=1))
    if from_at >= until_at:
        show(marks.banner("warn", "The time range ends before it begins; the last 24 h are shown.", icon_name="triangle"))
    return from_at.replace(tzinfo=UTC), until_at.replace(tzinfo=UTC)


def _moment(label: str, name: str, default: datetime) -> datetime:
    follow_value(name, default=default, parse=parse_moment)
    at = st.datetime_input(label, key=name, width=220) or default
    write_value(name, at, default=default, text=lambda value: f"{value:%Y-%m-%dT%H:%M}")
    return at


def _since(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M}" if now - at < timedelta(hours=20) else f"{at:%b %-d %H:%M}"
