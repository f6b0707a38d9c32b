"""What the body of a model call says: the parameters a policy judges, and the conversation that is recorded beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from controlzero.records import TEXT_CHARS_MAX

CONVERSATION = ("messages", "input", "prompt", "instructions", "system")  # said beside the action: inspected, not judged
ARGUMENT_CHARS_MAX = 500  # of a text argument; the prompt travels as the decision's text
TOOLS_MAX = 128  # names of tools offered to the model


def body_of(options: Any) -> Mapping[str, Any]:
    """Return the body that a request's options make, as the client sends it."""
    body = options.json_data if getattr(options, "json_data", None) is not None else getattr(options, "content", None)
    if isinstance(body, bytes | bytearray | str):
        try:
            body = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = None
    plain = body if isinstance(body, Mapping) else {}
    extra = getattr(options, "extra_json", None)
    return {**plain, **extra} if extra else plain  # in this order: the client sends it so


def arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call, without the conversation: scalars as they are, tools by name."""
    args: dict[str, Any] = {
        name: value
        for name, value in body.items()
        if isinstance(value, bool | int | float)
        or (isinstance(value, str) and len(value) <= ARGUMENT_CHARS_MAX and name not in CONVERSATION)
    }
    tools = body.get("tools")
    if isinstance(tools, list | tuple):
        args["tools"] = [name for tool in tools[:TOOLS_MAX] if (name := tool_name(tool))]
    return args


def model_name(body: Mapping[str, Any], nested: tuple[str, ...]) -> str | None:
    """Return the model a body names, itself or in one of the parts `nested`."""
    wholes = (body, *(inner for name in nested if isinstance(inner := body.get(name), Mapping)))
    model = next((model for whole in wholes if (model := whole.get("model")) is not None), None)
    if isinstance(model, Mapping):
        model = model.get("id")
    return str.__str__(model) if isinstance(model, str) else None if model is None else str(model)  # of an enumeration, what is sent


def tool_name(tool: Any) -> str | None:
    """Return the name of a tool as a request offers it."""
    if not isinstance(tool, Mapping):
        return None
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name") or tool.get("type")
    return name if isinstance(name, str) else None


def conversation(said: Any) -> str | None:
    """Return what is new in a conversation: the messages since the model last spoke, or the whole input."""
    if isinstance(said, list | tuple):
        speakers = [item.get("role") if isinstance(item, Mapping) else None for item in said]
        since = max((place + 1 for place, role in enumerate(speakers) if role == "assistant"), default=0)
        said = said[since:]
    pieces: list[str] = []
    room = TEXT_CHARS_MAX
    for piece in _texts(said):
        if room <= 0:
            break
        pieces.append(piece[:room])
        room -= len(piece) + 1
    return "\n".join(pieces) or None


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        yield from _texts(said.get("content", said.get("text", said.get("output"))))
    elif isinstance(said, list | tuple):
        for item in said:
            yield from _texts(item)
