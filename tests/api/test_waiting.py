"""The bar that is shown while a command waits."""

import io

from rich.console import Console

from heddle_api.cli.waiting import waiting


def spoken(found: float | None) -> tuple[str, float | None]:
    """Say what a job would: its stage, and how far it is."""
    return ("validating" if found is None else "scoring"), found


def test_it_says_what_is_done_and_how_far_it_is_and_goes_at_the_end() -> None:
    shown = io.StringIO()
    with waiting(spoken, quiet=False, console=Console(file=shown, force_terminal=True, width=100)) as told:
        assert told is not None
        for found in (None, 0.25):
            told(found)
    assert "scoring" in shown.getvalue()
    assert "25%" in shown.getvalue()
    assert shown.getvalue().rstrip().endswith("\x1b[2K"), "the line is wiped"


def test_programs_see_nothing_of_it() -> None:
    with waiting(spoken, quiet=True) as told:
        assert told is None
