import pytest

from controlzero.pii import find, find_many, might_hold

FOUND = {
    "email": (
        "bob@example.com",
        "Bob.O'Brien+news@mail.example.co.uk",
        "jürgen@exämple.de",
        "иван@пример.рф",
        "a@b.xn--p1ai",
        "bob@acme.museum",
    ),
    "phone": (
        "+1 415 555 0132",
        "+14155550132",
        "+1 (415) 555-0132",
        "(415) 555-0132",
        "415-555-0132",
        "415.555.0132",
        "415\u2011555\u20110132",
        "555-123-4567",
        "+44 20 7946 0958",
        "020 7946 0958",
        "+49 30 12345678",
        "+33 6 12 34 56 78",
        "06 12 34 56 78",
        "090-1234-5678",
        "532 123 45 67",
        "09471234567",
        "+55 11 98456 5666",
    ),
    "payment_card": (
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "371449635398431",
        "3714 496353 98431",
        "30569309025904",
        "5555555555554444",
        "2223003122003222",
        "6011000990139424",
        "3530111333300000",
        "6759649826438453",
    ),
    "iban": (
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "gb29nwbk60161331926819",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ),
    "us_ssn": ("536-90-4399", "536 90 4399", "536\u201190\u20114399"),
    "ip_address": (
        "8.8.8.8",
        "192.168.1.10",
        "2001:db8::8a2e:370:7334",
        "684D:1111:222:3333:4444:5555:6:77",
        "::ffff:192.0.2.1",
        "fe80::1",
    ),
    "aws_key": ("AKIALALEMEL33243OLIB", "ASIAEQBX6UGOF2HB54G6", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t"),
    "github_token": (
        "ghp_p4ljt0l2siza70154kh39607l1absdejm2tb",
        "gho_z6q2ue78cz91w4khjdugp4eohxi4qwmqt0j6",
        "github_pat_" + "lxvv1kdsxhn6yfw" * 6,
    ),
    "openai_key": ("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", "sk-proj-SevzWEV_NmNnMndQ5gn6PjFcX_9ay5SEKse8AL0EuYAB0c"),
    "jwt": (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiZ3Vlc3QifQ.K5DnnbbIOspRbpCr2IKXE9cPVatGOCBrBQobQmBmaeU",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    ),
    "private_key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nKs14IReLcYgADhoXk56=\n-----END RSA PRIVATE KEY-----",),
}

NOTHING = (
    "user@host",
    "git@github.com:acme/site.git",
    "icon@2x.png",
    "lodash@4.17.21",
    "info@presidio.",
    "@app.route('/x')",
    "version 1.2.3.4",
    "v1.2.3.4",
    "Chrome/98.0.47.10",
    "/opt/jdk-8.0.1.2/bin",
    "release-4.2.1.20",
    "1.2.3.4.5.6",
    "256.1.1.1",
    "01.02.03.04",
    "127.0.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "std::fec",
    "abc::def",
    "12:34:56",
    "aa:bb:cc:dd:ee:ff",
    "2024-05-15 10:30:00",
    "2024-05-15T10:30:00.123Z",
    "05-15-2024",
    "1715769000",
    "1715769000123",
    "1715769000123456",
    "1715769000123456789",
    "4111111111111112",
    "ORD-4111111111111111",
    "0.4111111111111111",
    "0000000000000000",
    "image_4119241148692325954.jpg",
    "EAN 4222222222222",
    "4107812777",
    '{"Headphones": "6992792935"}',
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-45-678",
    "078-05-1120",
    "DE89370400440532013001",
    "XX89370400440532013000",
    "978-3-16-148410-0",
    "01-23-45-67-89-AB",
    "51 824 753 5564",
    "550e8400-e29b-41d4-a716-446655440000",
    "$1,234,567.89",
    "37.774929, -122.419416",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-ant-api03-abc",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJjdXJzb3IiOiAiMTIzNDU2IiwgInBhZ2UiOiA4OX0",
    "eyJhbasdGciOiJIUaddasdasfsasdasdzI1NiIasdsInR5cCI6IkpXVCasdJasd9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4",
    "if line.startswith('-----BEGIN PRIVATE KEY-----'):",
    "[email:kdfbcaemph] [payment_card:aaaaaaaaaa] [us_ssn:ponmlkjihg]",
)


@pytest.mark.parametrize(("type_", "value"), [(type_, value) for type_, values in FOUND.items() for value in values])
@pytest.mark.parametrize("around", ["{}", "({})", "say {}, please", "a\n{}\nb", r"{{\"x\":\"a\n{}\"}}"])
def test_a_value_is_found_whole_wherever_it_stands(type_: str, value: str, around: str) -> None:
    text = around.format(value)
    assert [(span.type, text[span.start : span.end]) for span in find(text)] == [(type_, value)]
    assert might_hold(text.encode())


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_a_value_is_not_found(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize(
    ("beside", "text", "type_"),
    [
        ("phone", "4155550132", "phone"),
        ("customerPhone", "4155550132", "phone"),
        ("Phone number", "030 1234567", "phone"),
        ("ssn", "536904399", "us_ssn"),
        ("card", "4222222222222", "payment_card"),
        ("aws_secret_access_key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY", "aws_key"),
    ],
)
def test_the_name_beside_a_value_can_speak_for_it(beside: str, text: str, type_: str) -> None:
    assert find(text) == []
    assert [(span.type, span.start, span.end) for span in find(text, beside)] == [(type_, 0, len(text))]
    assert [span.type for span in find(f"my {beside} is {text}.")] == [type_]


def test_the_name_beside_a_value_can_speak_against_it() -> None:
    assert find("10.4.2.1") != []
    assert find("10.4.2.1", "version") == []


def test_a_private_key_cut_off_is_found_to_where_it_stops() -> None:
    text = "here: -----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ"
    (span,) = find(text)
    assert (span.start, span.end) == (6, len(text))


def test_values_that_share_a_separator_are_both_found() -> None:
    assert [span.type for span in find("4111111111111111_5555555555554444")] == ["payment_card"] * 2


def test_where_two_overlap_the_earlier_detector_has_it() -> None:
    assert [span.type for span in find("DE89 3704 0044 0532 0130 00")] == ["iban"]


def test_offsets_count_characters_not_bytes() -> None:
    text = "Grüße 😀 \ud800 an bob@example.com und 8.8.8.8"
    assert [text[span.start : span.end] for span in find(text)] == ["bob@example.com", "8.8.8.8"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bob@Example.COM", "bob@example.com"),
        ("+1 (415) 555-0132", "415.555.0132"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819"),
        ("536-90-4399", "536 90 4399"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        (r"j\u00fcrgen@example.de", "jürgen@example.de"),
    ],
)
def test_spellings_of_one_value_share_one_form(one: str, other: str) -> None:
    assert find(one)[0].value == find(other)[0].value


def test_many_texts_are_searched_as_each_alone() -> None:
    texts = ["nothing", "", "bob@example.com", "\0", "call me at 4155550132", "nothing"] * 300
    assert find_many(texts) == [find(text) for text in texts]


def test_a_hostile_text_takes_no_longer_than_its_length_allows() -> None:
    """A pattern of quadratic time would need minutes for these; the suite's patience is seconds."""
    for unit in (
        "a.",
        "@a.",
        "1-",
        "1" * 19 + " ",
        "+1 ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGci.",
        "a@b.co1.2.3.4",
        "::1",
        "phone ",
        "\\u00e9",
    ):
        find(unit * (500_000 // len(unit)))
