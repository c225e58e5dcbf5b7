"""Numbers of persons that stand in something about somebody else: a reason in words, a code, a remark.

Here: finding what may be a person's number in any text or bytes, and putting something else in its place. Not here:
whose numbers these are, and what takes their place (``redacting.py``).

Eleven digits in a row are one, also among more digits, and also as people write it: 85.07.30-033.28.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from schemas import LINE_NUMBER

_BETWEEN = "[. -]?"
_DIGITS = 11
_RUN = f"[0-9](?:{_BETWEEN}[0-9]){{{_DIGITS - 1},}}"
_RUN_IN_BYTES = re.compile(_RUN.encode())


def mentions_query(table: str, columns: Iterable[str]) -> str:
    """What may be a number in these columns: ``line``, ``field`` (the column), its ``text``, the ``number`` (digits).

    Args:
        table: one of text, with line numbers.
        columns: at least one.
    """
    return " union all ".join(
        f"select {LINE_NUMBER} as line, '{column}' as field, {column} as text, unnest({_numbers_in(column)}) as number "
        f"from {table} where regexp_matches({column}, '{_RUN}')"
        for column in columns
    )


def _numbers_in(text: str) -> str:
    digits = f"list_transform(regexp_extract_all({text}, '{_RUN}'), lambda run: regexp_replace(run, '[. -]', '', 'g'))"
    windows = f"list_transform(range(1, length(run) - {_DIGITS - 2}), lambda i: substr(run, i, {_DIGITS}))"
    return f"flatten(list_transform({digits}, lambda run: {windows}))"


def replaced_query(mentions: str, replacements: str) -> str:
    """``line``, ``field`` and ``text`` of every text that mentions one of these numbers, with others in their place.

    Args:
        mentions: rows as of ``mentions_query``.
        replacements: table of ``number`` and ``stands_for_it``.
    """
    pair = f"array_to_string(string_split(number, ''), '{_BETWEEN}') || '|' || stands_for_it"
    replaced = "regexp_replace(so_far, split_part(pair, '|', 1), split_part(pair, '|', 2), 'g')"
    return (
        f"select line, field, list_reduce(list_prepend(any_value(text), list({pair} order by number)), "
        f"lambda so_far, pair: {replaced}) as text "
        f"from ({mentions}) inner join {replacements} using (number) group by line, field"
    )


def numbers_in_bytes(content: bytes) -> set[str]:
    """What may be a number in these bytes, as digits."""
    runs = (re.sub(rb"[. -]", b"", run).decode() for run in _RUN_IN_BYTES.findall(content))
    return {run[start : start + _DIGITS] for run in runs for start in range(len(run) - _DIGITS + 1)}


def with_replaced(content: bytes, stands_for: Mapping[str, str]) -> bytes:
    """The bytes with something in place of the numbers that are keys."""
    for number in sorted(stands_for.keys() & numbers_in_bytes(content)):
        content = re.sub(_BETWEEN.join(number).encode(), stands_for[number].encode(), content)
    return content
