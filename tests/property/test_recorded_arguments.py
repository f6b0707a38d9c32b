"""Whatever an agent passes as arguments, the record holds what was judged, and the digest is canonical."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlzero.masking import encode_canonical, encode_plain, form_of
from controlzero.policy.canonical import canonical, plain

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS | st.just(...) | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=12
)


@given(st.dictionaries(st.text() | st.integers(), VALUES))
def test_any_arguments_are_encoded_as_they_were_judged(args: dict[Any, Any]) -> None:
    form = form_of(args)
    assert encode_canonical(args, form) == canonical(plain(args)).encode("utf-8", "surrogatepass")
    try:
        expected = json.loads(json.dumps(plain(args), ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return
    assert json.loads(encode_plain(args, form)) == expected
