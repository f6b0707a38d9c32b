"""Fill the generated blocks of a page; what people wrote around them stays as it is."""

import re
from collections.abc import Callable, Mapping

Block = Callable[[], str]
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, blocks: Mapping[str, Block]) -> str:
    """Return a page with each block's text between its marks. Raises ValueError where page and blocks do not name the same."""
    named = [found["name"] for found in _BLOCK.finditer(page)]
    if sorted(named) != sorted(blocks):
        raise ValueError(f"the page has the blocks {sorted(named)}, expected each of {sorted(blocks)} once")
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found['name']]().strip()}\n\n{found[3]}", page)
