"""Finds the rules a request may meet without asking each: by the text it offers, then by the condition that tells most apart."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from msgspec import Struct

from controlzero.policy.conditions import Condition, Getter, Test
from controlzero.policy.globs import HOLE, Glob, Matcher, matcher
from controlzero.policy.request import Request
from controlzero.policy.resources import Resources

KEPT_MAX = 200_000  # entries kept ready in one index: prefixes that nest must not cost their square
NARROWED_MIN = 8  # entries of a node, from which on a condition narrows them further; below, asking is as fast
Entry = tuple[int, Matcher | None]  # a rule's place, and what the text must still pass to meet it (None: it does already)
At = tuple[str | None, int]  # where a text is: the literal it is, and the longest prefix it has


class TextIndex:
    """Places by their globs: literals by look-up, prefixes by bisection. Other globs are met perhaps, by any text."""

    def __init__(self, patterns: Iterable[tuple[int, Iterable[Glob]]]) -> None:
        self.perhaps: list[tuple[int, Glob]] = []
        self._literals: dict[str, list[int]] = {}
        own: dict[str, list[int]] = {}
        for place, globs in patterns:
            for each in globs:
                if each.is_literal:
                    self._literals.setdefault(each.head, []).append(place)
                elif each.is_prefix:
                    own.setdefault(each.head, []).append(place)
                else:
                    self.perhaps.append((place, each))
        self._prefixes = sorted(own)
        self._own = [own[prefix] for prefix in self._prefixes]
        self._parents = _parents(self._prefixes)

    def find(self, text: str) -> At:
        """Return where a text is."""
        prefixes = self._prefixes
        at = bisect_right(prefixes, text) - 1
        while at >= 0 and not text.startswith(prefixes[at]):
            at = self._parents[at]
        return (text if text in self._literals else None, at)

    def met(self, where: At) -> set[int]:
        """Return the places whose literals or prefixes the texts there meet."""
        literal, at = where
        found = set(self._literals[literal]) if literal is not None else set()
        while at >= 0:
            found.update(self._own[at])
            at = self._parents[at]
        return found


def telling_apart(tests: Sequence[Test]) -> Callable[[str], Hashable]:
    """Return what tells two texts apart as far as these tests do: where it is the same, every test answers the same."""
    index = TextIndex((number, test.wanted) for number, test in enumerate(tests) if not test.name.startswith(HOLE))
    globs = [matcher(each) for _, each in index.perhaps]
    others = [test.holds for test in tests if test.name.startswith(HOLE)]
    return lambda text: (index.find(text), *[passes(text) for passes in globs], *[holds(text) for holds in others])


def _parents(prefixes: Sequence[str]) -> list[int]:
    """Return for each prefix the place of the longest other that it starts with, or -1."""
    parents: list[int] = []
    open_places: list[int] = []
    for place, prefix in enumerate(prefixes):
        while open_places and not prefix.startswith(prefixes[open_places[-1]]):
            open_places.pop()
        parents.append(open_places[-1] if open_places else -1)
        open_places.append(place)
    return parents


class Indexed(Struct, frozen=True):
    """What the index needs to know of a rule."""

    place: int
    resources: Resources
    conditions: tuple[Condition, ...]


class Node(Struct, frozen=True):
    """The rules that texts at one place may meet, in order, up to the first that surely decides.

    Where they are many and a condition on one key tells most of them apart, `get` is that key's value and `values` finds
    them by it; `without` are those that do not ask for it.
    """

    entries: tuple[Entry, ...]
    get: Getter | None = None
    values: TextIndex | None = None
    without: frozenset[int] = frozenset()
    kept: dict[At, tuple[Entry, ...]] = {}


class RuleIndex:
    """Finds, for one text and request, the entries of the rules it may meet."""

    def __init__(self, rules: Iterable[Indexed]) -> None:
        self._rules = {rule.place: rule for rule in rules}
        named = [(place, rule.resources.globs) for place, rule in self._rules.items() if not rule.resources.everything]
        self._texts = TextIndex(named)
        self._always = [place for place, rule in self._rules.items() if rule.resources.everything]
        self._nodes: dict[At | None, Node] = {}
        self._kept = 0
        self.keys, self.is_loose = _argument_keys(each for _, globs in named for each in globs)

    def entries(self, text: str | None, request: Request) -> tuple[Entry, ...]:
        """Return what a text may meet in this request, by place; None is a call that offers none."""
        where = None if text is None else self._texts.find(text)
        node = self._nodes.get(where)
        if node is None:
            node = self._node(where)
        if node.get is None:
            return node.entries
        have = node.get(request)
        if have.__class__ is str:
            return self._narrowed(node, have)
        return self._narrowed(node, None) if have is None else node.entries

    def _node(self, where: At | None) -> Node:
        sure = set(self._always)
        perhaps: list[tuple[int, Glob]] = []
        if where is not None:
            sure |= self._texts.met(where)
            perhaps = [(place, each) for place, each in self._texts.perhaps if place not in sure]
        settled = min((place for place in sure if not self._rules[place].conditions), default=None)
        met: list[Entry] = [(place, None) for place in sure] + [(place, matcher(each)) for place, each in perhaps]
        entries = tuple(sorted((each for each in met if settled is None or each[0] <= settled), key=lambda entry: entry[0]))
        node = self._narrowing(entries)
        if self._keep(len(entries)):
            self._nodes[where] = node
        return node

    def _narrowing(self, entries: tuple[Entry, ...]) -> Node:
        """Return a node that narrows by the key whose globs tell most of its rules apart, if that is worth it."""
        if len(entries) < NARROWED_MIN:
            return Node(entries)
        told = [{each.key: each for each in self._rules[place].conditions if _tells_apart(each)} for place, _ in entries]
        key, count = next(iter(Counter(key for by_key in told for key in by_key).most_common(1)), ("", 0))
        if count < len(entries) // 2:
            return Node(entries)
        asked = [(number, by_key[key]) for number, by_key in enumerate(told) if key in by_key]
        values = TextIndex((number, [test.wanted[0] for tests in each.alternatives for test in tests]) for number, each in asked)
        without = frozenset(range(len(entries))) - {number for number, _ in asked}
        return Node(entries, asked[0][1].get, values, without, {})

    def _narrowed(self, node: Node, text: str | None) -> tuple[Entry, ...]:
        """Return the entries that do not ask for the key, or ask what this text may pass (None: it is absent)."""
        values = node.values
        if values is None:
            return node.entries
        where = (None, -1) if text is None else values.find(text)
        found = node.kept.get(where)
        if found is None:
            numbers = node.without | values.met(where) | {number for number, _ in values.perhaps}
            found = tuple(node.entries[number] for number in sorted(numbers))
            if self._keep(len(found)):
                node.kept[where] = found
        return found

    def _keep(self, entries: int) -> bool:
        if self._kept + entries >= KEPT_MAX:
            return False
        self._kept += entries + 1
        return True


def _tells_apart(condition: Condition) -> bool:
    """Tell whether a condition is only globs of which one is a literal or a prefix: the index can find it by its value."""
    globs = [test.wanted for tests in condition.alternatives for test in tests]
    return condition.is_quick and all(len(wanted) == 1 and (wanted[0].is_literal or wanted[0].is_prefix) for wanted in globs)


def _argument_keys(globs: Iterable[Glob]) -> tuple[frozenset[str], bool]:
    """Return the keys of arguments that some pattern could meet as `key/value`, and whether one could meet any key's."""
    keys: set[str] = set()
    is_loose = False
    for each in globs:
        key, slash, _ = each.head.partition("/")
        if slash:
            keys.add(key)
        elif not each.is_literal:
            is_loose = True
    return frozenset(keys), is_loose
