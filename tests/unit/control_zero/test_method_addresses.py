import pytest

from control_zero.answers import method_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://tools.example/database", "https://tools.example/database/query"),
        ("https://tools.example/database/", "https://tools.example/database/query"),
        ("https://tools.example", "https://tools.example/query"),
        ("https://tools.example/database?tenant=acme", "https://tools.example/database/query?tenant=acme"),
    ],
)
def test_a_method_is_called_beneath_the_path_of_its_tool(url: str, address: str) -> None:
    assert method_url("database", url, "query") == address


def test_a_method_leads_nowhere_else() -> None:
    assert method_url("database", "https://tools.example/database", "../x?y#z") == "https://tools.example/database/..%2Fx%3Fy%23z"
