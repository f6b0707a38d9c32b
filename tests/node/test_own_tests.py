"""What Node's own runner tests, as CI runs it."""

from pathlib import Path

import pytest

from tests import node_sdk


@pytest.mark.usefixtures("sdk")
def test_the_sdks_own_tests_pass() -> None:
    done = node_sdk.run_own_tests()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


def test_no_registry_is_named_in_the_lock() -> None:
    assert "resolved" not in (node_sdk.SDK / "package-lock.json").read_text()


def test_nothing_is_needed_to_run_it() -> None:
    package = (Path(node_sdk.SDK) / "package.json").read_text()
    assert '"dependencies"' not in package
