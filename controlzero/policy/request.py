"""What a policy is asked about: one call, its action and resource in canonical form, and the facts around it."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from controlzero.policy.canonical import is_scalar, plain, text

MCP_SCHEME = "mcp://"
MCP_CALL = "mcp:tool:call"  # what every call of a tool behind MCP is, beside its own name
ACTIONS_MAX = 4_096  # spellings of actions kept ready; an agent uses dozens, a model that invents names must not fill memory
NOTHING: Mapping[str, object] = MappingProxyType({})
_CANONICAL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ.", "abcdefghijklmnopqrstuvwxyz:")
# Control, zero-width and bidi characters: what a person reading a name would not see
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MASK = re.compile(r"\[[a-z0-9_]{1,32}:[a-p]{10}\]")  # what stands for a masked value: its type and a keyed token


class Masked(Struct, frozen=True):
    """A value of which only part is known, because personal data in it was masked or it was cut.

    `pieces` are the texts around the unknown parts. `holds` and `recorded` name tests (see `conditions.Test.name`):
    those whose answer was noted while the value was known, and of them those that held; `undecided` those that could
    not compare it. `is_object`: it stands for an object whose keys are masked too.
    """

    pieces: tuple[str, ...] = ("", "")
    holds: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    is_object: bool = False


class Viewed(Struct, frozen=True):
    """A value known only as rules see it: every scalar (a deny rule), and the elements (another rule).

    `is_partial`: the path to it led through a list of which some element lacks it.
    """

    scalars: tuple[object, ...]
    elements: tuple[object, ...]
    is_partial: bool = False


class Identity(Struct, frozen=True, kw_only=True):
    """Who acts, as the client knows it; a call's context may say it more exactly, its arguments never."""

    agent_id: str | None = None
    user_id: str | None = None
    user_group: str | None = None
    session_id: str | None = None
    tags: Mapping[str, object] = NOTHING


class Request(Struct, frozen=True):
    """One call to be judged.

    `actions` are canonical: the recorded one first, then its aliases. `resource` is the explicit one; `reached` the MCP
    URL behind it where that is another. `masked` is there where something is known only in part: by path, `Masked` stands
    at its place too; `args` or `tags` alone: keys of it are hidden;
    `offers`: arguments may have offered what is hidden. `recorded` are the context keys that
    are known at all (None: all of them).
    """

    actions: tuple[str, ...]
    action_raw: str
    resource: str | Masked | None = None
    agent_id: object = None
    user_id: object = None
    user_group: object = None
    session_id: object = None
    context: Mapping[str, object] = NOTHING
    tags: Mapping[str, object] = NOTHING
    args: Mapping[str, object] = NOTHING
    reached: str | None = None
    masked: Mapping[str, Masked] = MappingProxyType({})
    recorded: frozenset[str] | None = None
    is_malformed: bool = False  # it was found malformed when it was made; a masked part may hide why
    facts: Mapping[str, object] = NOTHING  # what was noted of masked values, by key (see `facts`); before any other source


NOBODY = Identity()


def canonical_action(action: str) -> str:
    """Return an action as it is matched and recorded: ASCII lower case, `:` for `.`."""
    return action.translate(_CANONICAL)


def is_malformed(name: str) -> bool:
    """Tell whether an action or resource holds an invisible character or a `..` segment."""
    if name.isascii() and name.isprintable() and ".." not in name:
        return False
    return _INVISIBLE.search(name) is not None or ".." in name.split("/")


def actions_of(action: str, resource: str | None) -> tuple[str, ...]:
    """Return the actions a recorded call was judged by: its own, and what every call of a tool behind MCP is."""
    return (action, MCP_CALL) if resource is not None and resource.startswith(MCP_SCHEME) and action != MCP_CALL else (action,)


def request_for_enforce(
    action: str,
    *,
    resource: str | None = None,
    context: Mapping[str, object] | None = None,
    args: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    identity: Identity = NOBODY,
) -> Request:
    """Return the request that an action named in full makes, such as `enforce("llm.generate", resource="model/gpt-5.4")`."""
    actions = _ACTIONS.get(action) or _remember(action)
    if resource is None and context:
        resource = _resource_of(context)
    if resource is not None and resource.startswith(MCP_SCHEME) and actions[0] != MCP_CALL:
        actions = (*actions, MCP_CALL)
    return _request(actions, action, resource, None, context, args, tags, identity)


def request_for_guard(
    tool: str,
    *,
    method: str | None = None,
    args: Mapping[str, object] | None = None,
    context: Mapping[str, object] | None = None,
    resource: str | None = None,
    mcp_url: str | None = None,
    tags: Mapping[str, object] | None = None,
    identity: Identity = NOBODY,
) -> Request:
    """Return the request of a tool call: `tool:method` on the resource that context or caller name.

    Without one, a tool that is a path is the resource (`vectorstore/papers` read is `vectorstore:read` on it), else
    `mcp_url`, the URL of the tool behind MCP. A call without a method is `tool:call` on `tool/<tool>`.
    """
    if resource is None and context:
        resource = _resource_of(context)
    action_raw, own_resource = _named(tool, method)
    actions = _ACTIONS.get(action_raw) or _remember(action_raw)
    if resource is None:
        resource = own_resource if mcp_url is None or own_resource is not None else mcp_url
    reached = mcp_url if mcp_url != resource else None
    if (mcp_url is not None or (resource is not None and resource.startswith(MCP_SCHEME))) and actions[0] != MCP_CALL:
        actions = (*actions, MCP_CALL)
    return _request(actions, action_raw, resource, reached, context, args, tags, identity)


def _named(tool: str, method: str | None) -> tuple[str, str | None]:
    """Return the action a tool and method make, and the resource that the tool itself is, if it is one."""
    if method is None:
        return "tool:call", tool if "/" in tool else f"tool/{tool}"
    if "/" not in tool:
        return f"{tool}:{method}", None
    scheme, is_url, _ = tool.partition("://")
    return f"{scheme if is_url else tool.split('/', 1)[0]}:{method}", tool


def _request(
    actions: tuple[str, ...],
    action_raw: str,
    resource: str | None,
    reached: str | None,
    context: Mapping[str, object] | None,
    args: Mapping[str, object] | None,
    tags: Mapping[str, object] | None,
    identity: Identity,
) -> Request:
    who = identity
    if args:
        if args.__class__ is not dict and not isinstance(args, Mapping):
            args = {"args": args}  # no arguments by name: judged and recorded as one
        for key in args:
            if key.__class__ is not str:
                args = plain(args)  # type: ignore[assignment]  # a mapping stays a mapping
                break
    else:
        args = NOTHING
    if tags is None and context:
        said = context.get("tags")
        tags = said if isinstance(said, Mapping) else None
    tags = who.tags if not tags else {**who.tags, **tags} if who.tags else tags
    if not context:
        return Request(
            actions, action_raw, resource, who.agent_id, who.user_id, who.user_group, who.session_id, NOTHING, tags, args, reached
        )
    agent_id, user_id = context.get("agent_id"), context.get("user_id")
    user_group, session_id = context.get("user_group"), context.get("session_id")
    if agent_id is None:
        agent_id = context.get("agent_name")
    return Request(
        actions,
        action_raw,
        resource,
        who.agent_id if agent_id is None else agent_id,
        who.user_id if user_id is None else user_id,
        who.user_group if user_group is None else user_group,
        who.session_id if session_id is None else session_id,
        context,
        tags,
        args,
        reached,
    )


def _resource_of(context: Mapping[str, object]) -> str | None:
    resource = context.get("resource")
    return None if resource is None else resource if resource.__class__ is str else text(resource)


_ACTIONS: dict[str, tuple[str, ...]] = {}


def _remember(action: str) -> tuple[str, ...]:
    if len(_ACTIONS) >= ACTIONS_MAX:
        _ACTIONS.clear()
    _ACTIONS[action] = actions = (canonical_action(action),)
    return actions


__all__ = [
    "MCP_CALL",
    "NOBODY",
    "Identity",
    "Masked",
    "Request",
    "Viewed",
    "canonical_action",
    "is_malformed",
    "is_scalar",
    "request_for_enforce",
    "request_for_guard",
]
