"""Schemathesis, the short form: few examples of every operation of both planes, from one seed. `fuzz` is the long form.

No server error, no undocumented status, no answer that breaks its schema, nothing of one tenant read by another.
"""

import pytest

from tests.api.fuzz import Fuzzed, Run, fuzz_control, fuzz_edge

RUN = Run(examples=2, seed=7, phases="examples,fuzzing")


def assert_clean(fuzzed: Fuzzed) -> None:
    """Fail with what Schemathesis found, and make sure that it looked."""
    assert fuzzed.clean, fuzzed.report
    assert sum(one.cases for one in fuzzed.asked) > 3 * len({one.operation for one in fuzzed.asked}), fuzzed.report


@pytest.mark.timeout(300)
async def test_the_control_plane(postgres_url: str) -> None:
    found = await fuzz_control(postgres_url, RUN)
    assert found.keys() == {"tenant", "operator"}
    for fuzzed in found.values():
        assert_clean(fuzzed)


@pytest.mark.timeout(300)
def test_the_edge(postgres_url: str) -> None:
    assert_clean(fuzz_edge(postgres_url, RUN))
