"""What was known on an earlier day is found again, to the byte, however much became known since."""

from __future__ import annotations

from tests.past.conftest import Story


def test_the_story_moves(story: Story) -> None:
    """Else the tests below would compare one state with itself."""
    for before, after in zip(story.nights, story.nights[1:], strict=False):
        assert before.parquet != after.parquet, after.delivery_id
        print(after.delivery_id, before.answer == after.answer)
    assert len({night.answer for night in story.nights}) >= 6
