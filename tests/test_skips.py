"""`pytest --skips FILE`: no test that cannot run passes unseen."""

import pytest

from tests.conftest import ROOT

pytest_plugins = ["pytester"]
TEST = "import pytest\n\ndef test(): pytest.skip('{reason}')"
MODULE = "import pytest\n\npytest.importorskip('no_such_package', reason='no package')"


def test_what_is_skipped_for_a_reason_that_is_not_listed_fails(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(ROOT)
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(test_a=TEST.format(reason="no GPU"), test_b=TEST.format(reason="no"), test_c=MODULE)
    pytester.makefile("", skips="no GPU: there is none here\n")
    pytester.runpytest("--skips", "skips", "--continue-on-collection-errors").assert_outcomes(
        skipped=1, failed=1, errors=1
    )
    pytester.runpytest().assert_outcomes(skipped=3)
