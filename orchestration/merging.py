"""Which rows of the state before a delivery hold no longer, and which stay.

Here: that one question, as a query per kind of delivery over the relations of ``cross_rows.py``. Not here: the verdict
on delivered rows (``validation.py``), nor how a change is written (``history.py``).

Relations used: ``known_<extract>`` (the state before), ``held_back`` (keys of this delivery's quarantined rows: what
was known under them holds), ``touched`` (keys that it accepted), ``current_keys``, ``dossier_persons``.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas import CHILDREN, EXTRACTS, Extract

PRESENT_RECORDS = """
    select coalesce(current_keys.current_key, touched.person_key) as person_key, min(begin) as begin
    from touched left join current_keys on touched.person_key = current_keys.person_key
    group by 1
"""
"""When the target-group record begins that a person's dossiers show: earlier ones stay, and end before it."""


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
        brought = f"left join ({PRESENT_RECORDS}) as brought on brought.person_key = owners.owner"
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
