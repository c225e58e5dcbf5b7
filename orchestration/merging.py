"""Which rows of before a delivery hold no longer, and which stay or go on waiting.

Here: that one question, as a query per kind of delivery over the relations of ``cross_rows.py``. Not here: the verdict
on delivered rows (``validation.py``), nor how a change is written (``history.py``).

Relations used: ``known_<extract>`` (the state before), ``once_waiting_<extract>`` (rows that waited before it),
``delivered_<extract>``, ``held_back`` (keys of this delivery's quarantined rows: what was known under them holds),
``touched`` (keys that it accepted), ``numbers``, ``current_keys``, ``dossier_persons``.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas import CHILDREN, EXTRACTS, Extract

_PRESENT_RECORDS = """
    select coalesce(current_keys.current_key, touched.person_key) as person_key, min(begin) as begin
    from touched left join current_keys on touched.person_key = current_keys.person_key
    group by 1
"""
"""When the target-group record begins that a person's dossiers show: earlier ones stay, and end before it."""

NEAREST_ROWS = """
    select distinct on (owner) *
    from (
        select
            known.*,
            coalesce(current_keys.current_key, known.person_key) as owner,
            coalesce(current_keys.steps, 0) as steps
        from known_personen as known
        left join current_keys on known.person_key = current_keys.person_key
    )
    order by owner, steps, kbi_nummer desc nulls last, person_key
"""
"""Of each person (``owner``: the number now) the known row of ``personen`` that R1 takes, the nearest in the chain."""


def ceasing_in_full(extract: Extract, key: Sequence[str]) -> str:
    """A full delivery holds everything: of what it does not bring again only held rows stay."""
    return f"select * from known_{extract.name} anti join held_back using ({', '.join(key)})"


def ceasing_in_delta(extract: Extract, key: Sequence[str]) -> str:
    """A delta says nothing of keys it does not bring."""
    return f"select * from known_{extract.name} semi join touched using ({', '.join(key)})"


def kept_beside_dossiers(extract: Extract, key: Sequence[str], *, is_delta: bool) -> str:
    """A dossier holds everything of one person, but of the target group only the present record.

    Known rows of a person whose dossier could not be read stay, and in a delta those of persons without a dossier.
    Earlier target-group records stay; an open one ends on the day before the present one begins.
    """
    matching = " and ".join(f"known.{column} = held_back.{column}" for column in key)
    accepted = " and ".join(f"known.{column} = touched.{column}" for column in key)
    kept = ["held_back.is_held", "persons.status = 'unreadable'"]
    if is_delta:
        kept.append("persons.person_key is null")
    ended, brought = "", ""
    if extract.name == "doelgroepen":
        ended = (
            "replace (case when known.einde is null and persons.status = 'brought' "
            "and known.begin < brought.begin then cast(brought.begin - 1 as date) else known.einde end as einde)"
        )
        brought = f"left join ({_PRESENT_RECORDS}) as brought on brought.person_key = owners.owner"
        kept.append("persons.status = 'brought' and (brought.begin is null or known.begin < brought.begin)")
    return f"""
        select known.* {ended}
        from known_{extract.name} as known
        {_owners(extract)}
        left join dossier_persons as persons on persons.person_key = owners.owner
        left join (select *, true as is_held from held_back) as held_back on {matching}
        {brought}
        where ({" or ".join(f"coalesce({condition}, false)" for condition in kept)})
            and not exists (select 1 from touched where {accepted})
    """


def waiting_beside_dossiers(extract: Extract, *, brings_parents: bool) -> str:
    """Of a person whose dossier comes no row waits any longer, but for earlier target-group records, which end then.

    Args:
        brings_parents: whether the dossiers hold rows of the extract that a row without number hangs on. Whose such a
            row is, is known from the one it names.
    """
    waiting = f"from once_waiting_{extract.name} as rows"
    if parent := CHILDREN.get(extract.name):
        (key,) = EXTRACTS[parent].key
        return f"select rows.* {waiting}" + (f" anti join delivered_{parent} using ({key})" if brings_parents else "")
    spoken_for = f"""{waiting}
        left join (
            select numbers.number, persons.person_key
            from numbers
            left join current_keys on numbers.person_key = current_keys.person_key
            inner join dossier_persons as persons
                on coalesce(current_keys.current_key, numbers.person_key) = persons.person_key
            where persons.status = 'brought'
        ) as spoken_for on rows.insz = spoken_for.number
    """
    if extract.name != "doelgroepen":
        return f"select rows.* {spoken_for} where spoken_for.number is null"
    return f"""
        select rows.* replace (
            coalesce(rows.einde, cast(cast(present.begin - 1 as date) as varchar)) as einde
        )
        {spoken_for}
        left join ({_PRESENT_RECORDS}) as present on spoken_for.person_key = present.person_key
        where present.begin is null or cast(rows.begin as date) < present.begin
    """


def _owners(extract: Extract) -> str:
    """A join that adds ``owners.owner``, the person a known row belongs to, after following number changes."""
    owner = "coalesce(current_keys.current_key, {0}.person_key) as owner"
    through = CHILDREN.get(extract.name)
    if through is None:
        table, link = f"known_{extract.name}", "person_key"
    else:
        table, (link,) = f"known_{through}", EXTRACTS[through].key
    return f"""
        left join (
            select distinct parents.{link}, {owner.format("parents")}
            from {table} as parents left join current_keys on parents.person_key = current_keys.person_key
        ) as owners on known.{link} = owners.{link}
    """
