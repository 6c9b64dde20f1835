"""The demo's measures mean what the scorecard's do."""

from heddle_api.cli.demo_images import Avatars
from heddle_api.cli.demo_measures import Change, Readings, judge

LEVELS: dict[str, tuple[str, ...]] = {"hat": ("off", "on"), "glasses": ("none", "round")}


def test_leakage_is_what_an_edit_adds_to_redrawing_and_changed_is_everything() -> None:
    labels = ({"hat": "off", "glasses": "none"},) * 4
    held_out = Avatars(LEVELS, (b"",) * 4, labels)
    changes = [Change(row, "hat", "on") for row in range(4)]
    before = [dict(each) for each in labels]
    # redrawing alone loses the glasses of rows 2 and 3; the edit loses those of rows 1 and 2, and mends row 3
    unedited = [{"hat": "off", "glasses": glasses} for glasses in ("none", "none", "round", "round")]
    after = [
        {"hat": "on", "glasses": "none"},
        {"hat": "on", "glasses": "round"},
        {"hat": "on", "glasses": "round"},
        {"hat": "off", "glasses": "none"},
    ]
    found = judge(held_out, changes, Readings(before, after, unedited))["hat"]
    assert (found.effect, found.edits) == (0.75, 4)
    assert (found.leakage, found.leakage_into) == (0.0, None)
    assert found.changed == 0.5
    worse = [{**each, "glasses": "round"} for each in after]
    found = judge(held_out, changes, Readings(before, worse, unedited))["hat"]
    assert (found.leakage, found.leakage_into, found.leakage_mean) == (0.5, "glasses", 0.5)
    untouched = judge(held_out, changes, Readings(before, after, unedited))["glasses"]
    assert (untouched.effect, untouched.leakage, untouched.changed, untouched.edits) == (None, None, None, 0)
