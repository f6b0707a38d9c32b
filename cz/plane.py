"""The control plane of a data folder, for what runs the product: without what commands need to read their options."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from controlplane.service import ControlPlane
from cz.home import Home
from topics.opening import open_log


@contextmanager
def plane_over(home: Home) -> Iterator[ControlPlane]:
    """Open the control plane of a data folder, on the log there is."""
    with closing(open_log(home.log)) as log, ControlPlane(home.path, log) as plane:
        yield plane
