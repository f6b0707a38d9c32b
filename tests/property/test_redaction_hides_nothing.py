import json

from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.pii import find, find_many, might_hold, redact_json, redact_text
from tests.property.texts_with_values import members, names, texts, values, written

KEY = b"k" * 32
seeds = st.integers(0, 2**32)


@given(values, seeds)
@settings(max_examples=600, deadline=None)
def test_no_way_of_writing_json_hides_a_value_from_the_first_look(value, seed):
    encoded = written(value, seed)
    if any(find(text, beside) for text, beside in members(json.loads(encoded))):
        assert might_hold(encoded)


@given(values, seeds)
@settings(max_examples=400, deadline=None)
def test_nothing_is_found_in_masked_json_and_masking_it_again_changes_nothing(value, seed):
    masked, _ = redact_json(written(value, seed), key=KEY, path="args")
    assert not [(text, beside) for text, beside in members(json.loads(masked)) if find(text, beside)]
    again, receipts = redact_json(masked, key=KEY, path="args")
    assert json.loads(again) == json.loads(masked)
    assert receipts == ()


@given(texts)
@settings(max_examples=600, deadline=None)
def test_nothing_is_found_in_a_masked_text_and_masking_it_again_changes_nothing(text):
    masked, receipts = redact_text(text, key=KEY, path="text")
    assert find(masked) == []
    assert redact_text(masked, key=KEY, path="text") == (masked, ())
    assert bool(receipts) == bool(find(text))


@given(texts, names)
@settings(max_examples=400, deadline=None)
def test_what_is_found_lies_in_the_text_in_order_and_apart(text, beside):
    spans = find(text, beside)
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@given(st.lists(texts, max_size=12))
@settings(max_examples=200, deadline=None)
def test_many_texts_are_found_in_as_each_alone(many):
    assert find_many(many) == [find(text) for text in many]


@given(st.binary(max_size=60) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=400, deadline=None)
def test_bytes_that_are_no_json_are_masked_or_left_and_never_a_crash(data):
    masked, _ = redact_json(data, key=KEY, path="args")
    assert masked == data or json.loads(masked) is not NotImplemented
    assert redact_json(masked, key=KEY, path="args")[1] == ()
