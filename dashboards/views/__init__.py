"""The pages in the order of the navigation, a module each."""

from dashboards.views import decisions, overview

PAGES = (overview.PAGE, decisions.PAGE)
