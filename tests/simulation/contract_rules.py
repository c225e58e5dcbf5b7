"""The row rules of the delivery contract, written a second time, over whole columns.

Here: which rows of one delivery break which rule, where nothing was delivered before (so every held row of a real
warehouse could only make it less). Not here: anything imported from the product: neither the simulator's own layout nor
``schemas/`` may excuse a mistake of the simulator.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import reduce
from pathlib import Path

import polars as pl
import pycountry

from tests.deliveries import COLUMNS

FORMER_COUNTRIES = {"XK", "SU", "YU", "CS", "AN", "XX"}
KEYS = {
    "personen": ["insz"],
    "insz_wijzigingen": ["oude_insz"],
    "doelgroepen": ["insz", "begin"],
    "contracten": ["contract_id"],
    "addenda": ["addendum_id"],
    "opschortingen": ["contract_id", "begin"],
    "trajecten": ["traject_id"],
    "trajectonderdelen": ["onderdeel_id"],
    "mo_cursussen": ["deelname_id"],
    "nt2_cursussen": ["deelname_id"],
    "afgelegde_testen": ["test_id"],
    "attesten": ["attest_id"],
    "inbreuken": ["inbreuk_id"],
    "wachtlijst": ["insz", "onderdeel", "datum"],
}
REQUIRED_BESIDE_KEY = {
    "insz_wijzigingen": ["nieuwe_insz", "datum"],
    "doelgroepen": ["code"],
    "contracten": ["insz", "datum_registratie"],
    "addenda": ["contract_id", "datum_registratie"],
    "trajecten": ["insz", "type", "begin"],
    "trajectonderdelen": ["traject_id", "type", "begin"],
    "mo_cursussen": ["insz", "datum_inschrijving"],
    "nt2_cursussen": ["insz", "datum_inschrijving"],
    "afgelegde_testen": ["insz", "type", "datum"],
    "attesten": ["insz", "type"],
    "inbreuken": ["insz", "type", "datum_vaststelling"],
}
_LEVELS = "A1 A2 B1 B2 C1 C2"
_RESULTS = "GESLAAGD NT_GESLAAGD NT_DEELGENOMEN"
CODES = {
    ("personen", "geslacht_code"): "1 2",
    ("personen", "nationaliteit_code"): " ".join(
        {country.alpha_2 for country in pycountry.countries} | FORMER_COUNTRIES
    ),
    ("doelgroepen", "code"): "JA NEE NADER_TE_BEPALEN",
    ("doelgroepen", "type"): "PLICHT RECHT RECHT_PLICHT MINDERJARIG NADER_TE_BEPALEN GEEN",
    ("doelgroepen", "subtype"): "RECHT PRI_RECHT VOL_PROG NT2 MO RECHT_PLICHT MINDERJARIG DOELGROEP RECHTHEBBEND",
    ("contracten", "type"): "IC07G ICF08G IC09G ICF10G IC11G ICF12G ICO13G",
    ("addenda", "type"): "AIC14G AICF15G AICF16G AICF17G AICF18G AIC19G AIC20G AIC21G",
    ("trajecten", "type"): "TT_IBVP TT_IBRH TT_IB-18 TT_IBNB TT_IBBXL TT_IBAS TT_IBLING TT_IBGD TT_OBVDAB TT_OBOCMW "
    "TT_WCIB TT_WCTB TT_WCTK TT_OBSEC TT_NT2 TT_NT2OCMW TT_NT2VDAB TT_OBMAT TT_NIV_BEPALING",
    ("trajecten", "status_code"): "OP GS TS",
    ("trajecten", "besluit_code"): "JA_IB JA_EVC NEE NEE_ANALFA",
    ("trajectonderdelen", "type"): "TO_OB_MO TO_OB_PLO TO_OB_ELO TO_OB_SLO TO_OB_LLO TO_A1 TO_A2 TO_B1/1 TO_B1/2 "
    "TO_B1/3 TO_B1/4 TO_B2 TO_C1 TO_C2 TO_OB_INDOND TO_SANCTIO TO_OB_TO/TV TO_NB TO_HH TO_OB_W/A",
    ("trajectonderdelen", "besluit_code"): "VO NVO NVT",
    ("nt2_cursussen", "niveau"): _LEVELS,
    ("nt2_cursussen", "status"): "TOEGEWEZEN INGESCHREVEN GERESERVEERD NT_INGESCHREVEN NT_TOEGEWEZEN UITGESCHREVEN",
    ("nt2_cursussen", "besluit"): _RESULTS,
    ("afgelegde_testen", "type"): "MO NT2 NIVEAU",
    ("afgelegde_testen", "niveau"): _LEVELS,
    ("afgelegde_testen", "resultaat"): _RESULTS,
    ("attesten", "soort"): "ATTEST VERKLARING",
    ("attesten", "type"): "AI023 AEVC05 VGI01",
    ("inbreuken", "type"): "1 2 3 4 5 6 7 8",
    ("inbreuken", "sanctionerende_overheid"): "VDAB OCMW VMSW HH",
    ("wachtlijst", "onderdeel"): "MO NT2",
}
DATES = {
    "geboortedatum", "datum", "begin", "einde", "datum_registratie", "status_begin", "besluit_datum",
    "datum_inschrijving", "datum_uitschrijving", "datum_aanmaak", "datum_ondertekening", "datum_vaststelling",
    "datum_ingebrekestelling", "boete_datum",
}  # fmt: skip
BOOLEANS = {"onderdeel_mo", "onderdeel_nt2", "onderdeel_lo", "individueel"}
DIGITS = {"nis_gemeente": 5, "kbo_nummer": 10}
INTEGERS = {"score_praktisch": 30, "score_waarden": 11}
DECIMALS = {"lesuren": None, "aanwezige_uren": None, "boete_bedrag": 5000}
INSZ = {"insz", "oude_insz", "nieuwe_insz"}
PARENTS = {"insz": "personen", "contract_id": "contracten", "traject_id": "trajecten"}
PERIODS = (("begin", "einde"), ("datum_inschrijving", "datum_uitschrijving"))


def read_delivery(directory: Path) -> dict[str, pl.DataFrame]:
    """Every extract as text, with ``line`` (1 = first data row)."""
    manifest = json.loads((directory / "manifest.json").read_text())
    tables = {}
    for file in manifest["files"]:
        path = directory / file["path"]
        frame = (
            pl.read_csv(path, separator=";", infer_schema=False)
            if file["format"] == "csv"
            else pl.read_parquet(path).with_columns(pl.all().cast(pl.String))
        )
        assert frame.height == file["rows"], f"{file['extract']}: the manifest counts other rows"
        tables[file["extract"]] = frame.with_row_index("line", offset=1)
    return tables


def broken_rules(directory: Path) -> pl.DataFrame:
    """One row per (extract, line, code); code ``duplicate`` marks exact duplicates after the first."""
    tables = read_delivery(directory)
    assert list(tables) == list(COLUMNS)
    extracted = json.loads((directory / "manifest.json").read_text())["extracted_at"]
    today = datetime.fromisoformat(extracted).date()
    return _Judgement(today).of(tables)


class _Judgement:
    """Judges the extracts in their order, keeping which keys were accepted and which quarantined."""

    def __init__(self, today: date) -> None:
        self.latest = date(today.year + 5, today.month, min(today.day, 28))  # a simulated date is never that close
        self.accepted: dict[str, pl.Series] = {}
        self.quarantined: dict[str, pl.Series] = {}
        self.replaced_by = pl.DataFrame(schema={"number": pl.String, "next": pl.String})

    def of(self, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
        found = []
        for extract, rows in tables.items():
            codes = self._judge(extract, rows)
            found.append(codes.select(pl.lit(extract).alias("extract"), "line", "code"))
        return pl.concat(found)

    def _judge(self, extract: str, rows: pl.DataFrame) -> pl.DataFrame:
        columns = COLUMNS[extract]
        once = rows.unique(columns, keep="first", maintain_order=True)
        duplicates = rows.join(once, on="line", how="anti").select("line", pl.lit("duplicate").alias("code"))
        conflicting = pl.struct(KEYS[extract]).is_duplicated() & pl.all_horizontal(pl.col(KEYS[extract]).is_not_null())
        rules = [*self._row_rules(extract, columns), ("key_conflict", conflicting)]
        codes = [once.filter(rule).select("line", pl.lit(code).alias("code")) for code, rule in rules]
        if extract == "insz_wijzigingen":
            codes.append(self._alias_cycles(once.join(pl.concat(codes), on="line", how="anti")))
        codes.extend(self._missing_parents(extract, once))
        broken = pl.concat(codes).unique(maintain_order=True)
        if extract in PARENTS.values():
            key = KEYS[extract][0]
            self.accepted[extract] = once.join(broken, on="line", how="anti")[key]
            self.quarantined[extract] = once.join(broken, on="line", how="semi")[key]
        if extract == "insz_wijzigingen":
            valid = once.join(broken, on="line", how="anti")
            self.replaced_by = valid.select(number="oude_insz", next="nieuwe_insz")
        return pl.concat([broken, duplicates])

    def _row_rules(self, extract: str, columns: list[str]) -> list[tuple[str, pl.Expr]]:
        rules = [("required_missing", pl.col(name).is_null())
                 for name in KEYS[extract] + REQUIRED_BESIDE_KEY.get(extract, [])]  # fmt: skip
        if extract == "attesten":
            undated = pl.col("datum_aanmaak").is_null() & pl.col("datum_ondertekening").is_null()
            rules.append(("required_missing", undated))
        for name in columns:
            value = pl.col(name)
            if name in DATES:
                day = _date(name)
                rules.append(("type_invalid", value.is_not_null() & day.is_null()))
                rules.append(("date_implausible", ~day.is_between(date(1900, 1, 1), self.latest)))
            elif name in BOOLEANS:
                rules.append(("type_invalid", ~value.is_in(["true", "false"])))
            elif name in DIGITS:
                rules.append(("type_invalid", ~value.str.contains(f"^[0-9]{{{DIGITS[name]}}}$")))
            elif name in INTEGERS:
                rules.append(("type_invalid", ~value.str.contains("^-?[0-9]+$")))
                number = value.cast(pl.Int64, strict=False)
                rules.append(("value_out_of_range", ~number.is_between(0, INTEGERS[name])))
            elif name in DECIMALS:
                rules.append(("type_invalid", ~value.str.contains(r"^-?[0-9]+(\.[0-9]+)?$")))
                number = value.cast(pl.Float64, strict=False)
                rules.append(("value_out_of_range", ~number.is_between(0, DECIMALS[name] or float("inf"))))
            elif name in INSZ:
                rules.append(("insz_invalid", value.is_not_null() & ~_is_synthetic_insz(name)))
            elif (extract, name) in CODES:
                rules.append(("code_unknown", ~value.is_in(CODES[extract, name].split())))
        if "aanwezige_uren" in columns:
            more = pl.col("aanwezige_uren").cast(pl.Float64, strict=False) > pl.col("lesuren").cast(
                pl.Float64, strict=False
            )
            rules.append(("value_out_of_range", more))
        rules += [("period_reversed", _date(last) < _date(first)) for first, last in PERIODS if last in columns]
        if extract == "trajectonderdelen":
            dated = _date("besluit_datum").is_not_null() | _date("einde").is_not_null()
            rules.append(("decision_undated", pl.col("besluit_code").is_not_null() & ~dated))
        return rules

    def _alias_cycles(self, valid: pl.DataFrame) -> pl.DataFrame:
        """Longer rings than of four do not occur in a simulated registry."""
        step = valid.select(number="oude_insz", next="nieuwe_insz")
        rows = valid.select("line", start="oude_insz", at="nieuwe_insz")
        leads_back = [rows.filter(pl.col("start") == pl.col("at"))]
        for _ in range(3):
            rows = rows.join(step, left_on="at", right_on="number").select("line", "start", at="next")
            leads_back.append(rows.filter(pl.col("start") == pl.col("at")))
        return pl.concat(leads_back).select("line", pl.lit("alias_cycle").alias("code"))

    def current(self, numbers: pl.Series) -> pl.Series:
        """The numbers after following the number changes; chains have at most two steps."""
        for _ in range(4):
            known = pl.DataFrame({"number": numbers}).join(
                self.replaced_by, on="number", how="left", maintain_order="left"
            )
            numbers = known.select(pl.coalesce("next", "number")).to_series()
        return numbers

    def _missing_parents(self, extract: str, rows: pl.DataFrame) -> list[pl.DataFrame]:
        codes = []
        for column, parent in PARENTS.items():
            if parent == extract or column not in COLUMNS[extract]:
                continue
            here, gone = self.accepted[parent], self.quarantined[parent]
            given = rows.filter(_is_synthetic_insz(column) if column == "insz" else pl.col(column).is_not_null())
            wanted = given[column]
            if column == "insz":
                here, gone, wanted = self.current(here), self.current(gone), self.current(wanted)
            absent = ~wanted.is_in(here.implode())
            code = pl.select(
                pl.when(wanted.is_in(gone.implode())).then(pl.lit("parent_quarantined")).otherwise(
                    pl.lit("parent_missing")
                ).alias("code")
            ).to_series()  # fmt: skip
            codes.append(given.select("line").with_columns(code).filter(absent))
        return codes


def _date(name: str) -> pl.Expr:
    value = pl.col(name)
    return pl.when(value.str.contains(r"^\d{4}-\d{2}-\d{2}$")).then(value.str.to_date("%Y-%m-%d", strict=False))


def _is_synthetic_insz(name: str) -> pl.Expr:
    value = pl.col(name)
    number = value.cast(pl.Int64, strict=False)
    nine, check, month = number // 100, number % 100, value.str.slice(2, 2).cast(pl.Int64, strict=False)
    right = reduce(pl.Expr.or_, [check == 97 - (nine + born) % 97 for born in (0, 2_000_000_000)])
    months = reduce(pl.Expr.or_, [month.is_between(*span) for span in ((0, 12), (20, 32), (40, 52), (60, 72))])
    return (value.str.contains("^[0-9]{11}$") & right & months).fill_null(False)
