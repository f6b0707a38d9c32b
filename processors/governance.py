"""What governs each project now, ready to judge by: from the control topic's records to verified, compiled bundles."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from controlzero.bundle import Bundle, verify
from controlzero.errors import ControlZeroError
from controlzero.policy import CompiledPolicy, parse
from controlzero.records import Mode
from topics.control import ControlState, OrderRecord, ProjectRecord, orders_of

TrustedKeys = Callable[[], Mapping[str, bytes]]


class InForce(Struct, frozen=True):
    """A bundle that judges: the active one of a project, or a candidate."""

    digest: str
    issued_at: int
    compiled: CompiledPolicy


class Governed(Struct, frozen=True, kw_only=True):
    """A project as the workers judge it: its mode in force, its active bundle (None before the first), its candidates, its orders."""

    mode: Mode
    active: InForce | None = None
    candidates: tuple[InForce, ...] = ()
    orders: tuple[OrderRecord, ...] = ()


class Governance(Struct, frozen=True, kw_only=True):
    """All projects by id, and a way to the bundle that a decision says it was judged under (None: not known)."""

    projects: Mapping[str, Governed] = {}
    bundle_of: Callable[[str], CompiledPolicy | None] = lambda _: None


class Governor:
    """Keeps the governance of a control state; each bundle is verified and compiled once, when a project or a decision needs it."""

    def __init__(self, trusted: TrustedKeys) -> None:
        self._trusted = trusted
        self._loaded: dict[str, InForce | None] = {}
        self._followed: ControlState | None = None
        self._projects: dict[str, Governed] = {}
        self.problems: dict[str, str] = {}  # by bundle digest: why it judges nothing

    def govern(self, state: ControlState) -> Governance:
        """Return the governance by `state`.

        A bundle that cannot be verified judges nothing (its project's decisions land unjudged) and is in `problems`.
        """
        if state is not self._followed:
            self._projects = {name: self._governed(record, state) for name, record in state.projects.items()}
            self._followed = state
        return Governance(projects=self._projects, bundle_of=lambda digest: self._compiled(digest, state))

    def _compiled(self, digest: str, state: ControlState) -> CompiledPolicy | None:
        bundle = self._in_force(digest, state)
        return None if bundle is None else bundle.compiled

    def _governed(self, record: ProjectRecord, state: ControlState) -> Governed:
        active = None if record.bundle_digest is None else self._in_force(record.bundle_digest, state)
        candidates = [self._in_force(digest, state) for digest in record.candidates]
        return Governed(
            mode=record.mode,
            active=active,
            candidates=tuple(one for one in candidates if one is not None),
            orders=orders_of(state, record.project_id),
        )

    def _in_force(self, digest: str, state: ControlState) -> InForce | None:
        if digest in self._loaded:
            return self._loaded[digest]
        record = state.bundles.get(digest)
        if record is None:  # not published yet, or an agent's word: asked again next time
            return None
        try:
            bundle = verify(record.czpolicy, self._trusted())
            loaded = InForce(digest, bundle.issued_at, compiled_of(bundle))
        except ControlZeroError as error:
            self.problems[digest] = f"project `{record.project_id}`, bundle {digest[:12]}: {error}"
            loaded = None
        self._loaded[digest] = loaded
        return loaded


def compiled_of(bundle: Bundle) -> CompiledPolicy:
    """Return a bundle's policies as one evaluator."""
    return CompiledPolicy([parse(policy) for policy in bundle.policies], reads=bundle.reads)
