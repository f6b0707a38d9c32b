"""`@cz.tool`: a function of one's own, of whatever kind, is judged by its arguments' names and leaves its outcome."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from controlzero import AsyncClient, Client, ControlZero, PolicyDeniedError, Rejected
from controlzero.testing import InMemoryGateway

POLICY = {
    "name": "p",
    "rules": [
        {"effect": "deny", "action": "tool:call", "resource": "tool/issue_refund"},
        {"effect": "deny", "action": "database:query", "conditions": {"args.table": "salaries"}},
        {"effect": "allow", "action": "*"},
    ],
}


def outcomes(cz: Client, gateway: InMemoryGateway) -> list[tuple[str, str | None]]:
    assert cz.flush()
    return [(outcome.status, outcome.error_class) for outcome in gateway.outcomes()]


def args_of(gateway: InMemoryGateway) -> list[Any]:
    return [json.loads(bytes(decision.args)) for decision in gateway.decisions()]


def test_a_function_is_a_tool_of_its_name_judged_by_its_arguments_names(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool
    def lookup_order(order_id: str, limit: int = 5, *more: str, deep: bool = False, **options: int) -> str:
        """Look an order up."""
        return f"{order_id} {limit} {more} {deep} {options}"

    assert lookup_order("A-1", 7, "x", "y", page=2) == "A-1 7 ('x', 'y') False {'page': 2}"
    assert (lookup_order.__name__, lookup_order.__doc__) == ("lookup_order", "Look an order up.")
    assert outcomes(cz, gateway) == [("ok", None)]
    (decision,) = gateway.decisions()
    assert (decision.action, decision.resource) == ("tool:call", "tool/lookup_order")
    assert args_of(gateway) == [{"order_id": "A-1", "limit": 7, "more": ["x", "y"], "deep": False, "page": 2}]
    assert gateway.outcomes()[0].latency_ms is not None


def test_a_denied_function_does_not_run(cz: Client, gateway: InMemoryGateway) -> None:
    ran = []

    @cz.tool
    def issue_refund(order_id: str) -> None:
        ran.append(order_id)

    with pytest.raises(PolicyDeniedError) as raised:
        issue_refund("A-1")
    assert raised.value.decision.policy_id == "p"
    assert ran == []
    assert outcomes(cz, gateway) == [("denied", None)]


def test_tool_and_method_are_what_the_decorator_says_and_positional_arguments_have_names(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool("database", method="query", tags={"tier": "gold"})
    def select(table: str, /) -> str:
        return table

    assert select("orders") == "orders"
    with pytest.raises(PolicyDeniedError):
        select("salaries")
    cz.flush()
    assert [(decision.action, json.loads(bytes(decision.tags))) for decision in gateway.decisions()] == [
        ("database:query", {"tier": "gold"})
    ] * 2


def test_a_method_is_judged_without_what_it_is_called_on(cz: Client, gateway: InMemoryGateway) -> None:
    class Orders:
        @cz.tool
        def count(self, state: str) -> int:
            return len(state)

    assert Orders().count("open") == 4
    cz.flush()
    assert args_of(gateway) == [{"state": "open"}]


def test_an_error_goes_through_and_leaves_its_class(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool
    def fail() -> None:
        raise LookupError("secret text")

    with pytest.raises(LookupError, match="secret text"):
        fail()
    assert outcomes(cz, gateway) == [("error", "LookupError")]


def test_a_wrong_call_is_the_type_error_it_was_and_no_decision(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool
    def lookup(order_id: str) -> str:
        return order_id

    with pytest.raises(TypeError, match="order_id"):
        lookup()  # type: ignore[call-arg]
    cz.flush()
    assert gateway.decisions() == []


def test_a_generator_is_judged_when_it_begins_and_its_outcome_is_its_end(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool
    def pages(first: int) -> Any:
        got = yield first
        try:
            got = yield got
        except LookupError:
            got = yield "caught"
        return got

    assert inspect.isgeneratorfunction(pages)
    pages(0)
    assert outcomes(cz, gateway) == []
    items = pages(1)
    assert [next(items), items.send("sent"), items.throw(LookupError())] == [1, "sent", "caught"]
    with pytest.raises(StopIteration) as ended:
        items.send("last")
    assert ended.value.value == "last"
    half = pages(2)
    next(half)
    half.close()
    assert outcomes(cz, gateway) == [("ok", None), ("cancelled", "GeneratorExit")]
    assert args_of(gateway) == [{"first": 1}, {"first": 2}]


def test_a_generator_can_still_be_a_context_manager(cz: Client, gateway: InMemoryGateway) -> None:
    @contextmanager
    @cz.tool
    def lease(name: str) -> Iterator[str]:
        with suppress(LookupError):
            yield name

    with lease("a") as name:
        assert name == "a"
        raise LookupError
    assert outcomes(cz, gateway) == [("ok", None)]


def test_coroutines_and_asynchronous_generators_stay_what_they_are(gateway: InMemoryGateway, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:

            @cz.tool
            async def fetch(url: str) -> str:
                await asyncio.sleep(0)
                return url

            @cz.tool("pages", method="read")
            async def pages(first: int) -> Any:
                got = yield first
                try:
                    yield got
                except LookupError:
                    yield "caught"

            @asynccontextmanager
            @cz.tool
            async def lease(name: str) -> AsyncIterator[str]:
                with suppress(LookupError):
                    yield name

            @cz.tool
            async def issue_refund(order_id: str) -> None:
                raise AssertionError(order_id)

            assert inspect.iscoroutinefunction(fetch)
            assert inspect.isasyncgenfunction(pages)
            assert await fetch("x") == "x"
            items = pages(1)
            assert [await anext(items), await items.asend("sent"), await items.athrow(LookupError())] == [1, "sent", "caught"]
            with pytest.raises(StopAsyncIteration):
                await anext(items)
            half = pages(2)
            await anext(half)
            await half.aclose()
            async with lease("a"):
                raise LookupError
            with pytest.raises(PolicyDeniedError):
                await issue_refund("A-1")
            with pytest.raises(Rejected, match="expected `async def`"):
                cz.tool(lambda: None)

    asyncio.run(main())
    assert [(outcome.status, outcome.error_class) for outcome in gateway.outcomes()] == [
        ("ok", None),
        ("ok", None),
        ("cancelled", "GeneratorExit"),
        ("ok", None),
        ("denied", None),
    ]


def test_a_client_governs_coroutines_too(cz: Client, gateway: InMemoryGateway) -> None:
    @cz.tool
    async def fetch(url: str) -> str:
        return url

    assert asyncio.run(fetch("x")) == "x"
    assert outcomes(cz, gateway) == [("ok", None)]


def test_a_tool_may_be_decorated_before_its_client_is_initialized(gateway: InMemoryGateway, tmp_path: Path) -> None:
    cz = ControlZero(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path)

    @cz.tool
    def lookup() -> str:
        return "found"

    with pytest.raises(RuntimeError, match="call initialize"):
        lookup()
    with cz:
        assert lookup() == "found"


def test_what_has_no_name_has_to_be_given_one(cz: Client, gateway: InMemoryGateway) -> None:
    class Search:
        async def __call__(self, words: str) -> str:
            return words

    with pytest.raises(Rejected, match="Search has no name"):
        cz.tool(Search())
    assert asyncio.run(cz.tool("search")(Search())(words="x")) == "x"
    assert outcomes(cz, gateway) == [("ok", None)]
    assert args_of(gateway) == [{"words": "x"}]
