"""What a run says of its work while it works: kept in the run's log, and on standard error for who is watching.

Here: how the steps speak, and the logger that shows that and nothing else. Not here: what they say.
"""

import logging
import sys
from collections.abc import Callable

import dagster as dg

_FOR_PEOPLE = "for_people"


def reporter(log: dg.DagsterLogManager, level: int = logging.INFO) -> Callable[[str], None]:
    """A function that says one line. Lines hold counts, names of extracts and models, never a row value."""
    return lambda message: log.log(level, message, extra={_FOR_PEOPLE: True})


@dg.logger(
    config_schema={"log_level": dg.Field(str, default_value="INFO")},
    description="What the steps say, on standard error; at level DEBUG Dagster's own events too.",
)
def progress(context: dg.InitLoggerContext) -> logging.Logger:
    """The logger of every run."""
    level = context.logger_config["log_level"]
    logger = logging.Logger("night", level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if level != "DEBUG":
        handler.addFilter(lambda record: hasattr(record, _FOR_PEOPLE))
    logger.addHandler(handler)
    return logger


class _Formatter(logging.Formatter):
    """Shows what was said without the run and step ids that Dagster puts around it."""

    def format(self, record: logging.LogRecord) -> str:
        if hasattr(record, _FOR_PEOPLE):
            record = logging.makeLogRecord(
                {**record.__dict__, "msg": record.dagster_meta["orig_message"], "args": None}
            )
        return super().format(record)
