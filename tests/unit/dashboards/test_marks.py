import pytest
from markupsafe import Markup

from dashboards import marks
from dashboards.masked import redacted, tree
from dashboards.theme import STYLES
from tests.ledgers import HOSTILE_ACTION, HOSTILE_AGENT


@pytest.mark.parametrize("text", [HOSTILE_ACTION, HOSTILE_AGENT, '"><script>alert(1)</script>', "' onmouseover='x", "{0}{}", "%s"])
def test_what_an_agent_calls_itself_is_text_in_every_piece(text: str) -> None:
    pieces = [
        marks.pill(text, "deny", icon_name="stop", hint=text),
        marks.mono(text),
        marks.link(text, f"decisions?agent={text}", hint=text),
        marks.table((text,), [(text,)], label=text),
        marks.bars([(text, 3, "warn")], label=text),
        marks.facts([(text, text)]),
        marks.banner("warn", text, icon_name="clock"),
        marks.heading(text, note=text),
        marks.sentence(f"{text} `{text}`"),
        marks.dotted(text),
        marks.empty(text, text),
        marks.stat(text, text, text),
        marks.card(text, text, delta=Markup(""), points=(1, 2), tone="deny", href=text, hint=text),
        redacted(text, "acme"),
        tree(f'{{"x": {__import__("json").dumps(text)}}}', "acme", label=text),
    ]
    for piece in pieces:
        assert "<script" not in piece
        assert "<img" not in piece
        assert "onmouseover='" not in piece
        assert "\u202e" not in piece


def test_a_name_between_backticks_is_an_identifier_and_a_lonely_backtick_stays() -> None:
    drawn = marks.sentence("environment `staging`: did you mean `production`? it`s there")
    assert drawn.striptags() == "environment staging: did you mean production? it`s there"
    assert marks.mono("staging") in drawn
    assert marks.mono("production") in drawn


def test_a_name_of_parts_breaks_after_its_dots_and_reads_the_same() -> None:
    assert marks.dotted("environment.added") == "environment.<wbr>added"
    assert marks.dotted("nobody") == "nobody"


def test_invisible_and_turning_characters_are_written_out() -> None:
    assert marks.visible("a\u202eb\u200bc\x07d\ne") == "a\\u202eb\\u200bc\\u0007d\ne"


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    text = "zażółć 漢字 مرحبا naïve"
    assert marks.visible(text) == text


def test_a_masked_value_is_named_by_type_and_token() -> None:
    drawn = redacted("Dear [email:kdfbcaemph], hi", "acme")
    assert "email" in drawn
    assert "kdfb" in drawn
    assert ">email <" in drawn
    assert 'href="decisions?project=acme&amp;range=14d&amp;q=%5Bemail%3Akdfbcaemph%5D"' in drawn, "and leads to all it is in"


def test_what_only_looks_like_a_mask_stays_text() -> None:
    assert "[email:notatoken]" in redacted("x [email:notatoken] y", "acme")


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert "1,000 more characters" in redacted("x" * 5_000, "acme")


def test_a_wide_object_is_cut_and_says_by_how_much() -> None:
    assert "… 20 more" in tree("{" + ",".join(f'"k{i}": {i}' for i in range(120)) + "}", "acme", label="Arguments")


def test_arguments_that_are_not_json_are_shown_as_they_are() -> None:
    assert "{broken" in tree("{broken", "acme", label="Arguments")


def test_a_change_against_nothing_is_no_percentage() -> None:
    assert "%" not in marks.change(5, 0, of="24 h")
    assert "none in the 24 h before" in marks.change(5, 0, of="24 h")


@pytest.mark.parametrize(
    ("now", "then", "said"), [(150, 100, "▲ 50 %"), (50, 100, "▼ 50 %"), (2000, 100, "▲ 20"), (100, 100, "as in the 24 h before")]
)
def test_a_change_is_said_against_the_period_before(now: int, then: int, said: str) -> None:
    assert said in marks.change(now, then, of="24 h")


def test_every_icon_named_by_a_word_is_drawn() -> None:
    from dashboards.words import WORDS

    styles = marks.icon_styles()
    assert all(f".cz-icon-{word.icon}{{" in styles for word in WORDS.values())
    assert "http://www.w3.org" not in styles.replace("http%3A//www.w3.org/2000/svg", "")


def test_every_value_of_a_table_carries_its_heading_for_narrow_screens() -> None:
    drawn = marks.table(("Time", "Agent"), [("12:00", "a"), ("12:01", "b")], label="Decisions", kind="decisions")
    assert drawn.count('data-label="Time"') == drawn.count('data-label="Agent"') == 2


@pytest.mark.parametrize(("columns", "at_first"), [(3, marks.CARDS_AT_FIRST), (marks.TALL_FROM, marks.TALL_CARDS_AT_FIRST)])
def test_a_long_table_can_be_shortened_and_a_short_one_is_left_alone(columns: int, at_first: int) -> None:
    headings = [f"h{i}" for i in range(columns)]
    assert "Show all" not in marks.table(headings, [["x"] * columns] * at_first, label="Rows")
    assert f"Show all {at_first + 1} rows" in marks.table(headings, [["x"] * columns] * (at_first + 1), label="Rows")
    style = STYLES.read_text(encoding="utf-8")
    assert f".cz-first-{at_first}:not(:checked) ~ .cz-scroll tbody tr:nth-child(n+{at_first + 1})" in style
