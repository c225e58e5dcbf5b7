"""What is said at the end of ``make night``: the headline figures, where the rows went, where to look further.

Here: which of the other modules' words are put together. Not here: any word or figure of its own.
"""

from __future__ import annotations

from datetime import date

from orchestration.answer import answer
from orchestration.answer_text import as_summary
from orchestration.settings import Settings
from orchestration.status import status

ANSWERED_BY_THE_MINISTER = date(2016, 9, 8)
"""The day as of which written question 714 was answered: every later answer is held against it."""


def summary(settings: Settings) -> str:
    """Answers as of the minister's day and of the last delivery, then deliveries, publication and disk.

    Raises:
        AnswerError: there is no warehouse yet, or it cannot be read.
    """
    last = answer(settings)
    answers = [last]
    if last.as_of_date > ANSWERED_BY_THE_MINISTER:
        answers.insert(0, answer(settings, ANSWERED_BY_THE_MINISTER))
    ui = "The asset graph, checks and runs: `make dev`, then http://127.0.0.1:3000"
    return "\n\n".join([*map(as_summary, answers), status(settings).as_text(), ui])
