"""Views: objects of a subclass over the state of another object. What one does, the other sees; `isinstance` holds for both."""

from typing import Any

from msgspec import Struct

MARK = "controlzero"


class Wrapping(Struct, frozen=True):
    """What a view keeps beside the state it shares: what it is a view of, and what its methods need."""

    given: Any
    governor: Any
    name: str = ""


def view(given: Any, attributes: dict[str, Any], wrapping: Wrapping) -> Any:
    """Return a view of an object whose class has other `attributes`; the class is made once per class and set of attributes."""
    base = type(given)
    key = (base, tuple(attributes))
    if key not in _KINDS:
        named = {"__slots__": (MARK,), "__module__": base.__module__, "__qualname__": base.__qualname__}
        _KINDS[key] = type(base.__name__, (base,), {**named, **attributes})
    made: Any = object.__new__(_KINDS[key])
    made.__dict__ = given.__dict__
    object.__setattr__(made, MARK, wrapping)
    return made


def wrapping_of(wrapped: Any) -> Wrapping:
    """Return what a view keeps, for its methods."""
    return object.__getattribute__(wrapped, MARK)  # type: ignore[no-any-return]  # set by `view`


def unwrap(wrapped: Any) -> Any:
    """Return what was wrapped; what is not wrapped is returned as it is."""
    wrapping = getattr(wrapped, MARK, None)
    return wrapping.given if isinstance(wrapping, Wrapping) else wrapped


_KINDS: dict[tuple[type, tuple[str, ...]], type] = {}
