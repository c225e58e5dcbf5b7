"""The closed code lists of the delivery contract.

Here: every list that ``code_unknown`` judges against. Not here: open lists (the registry adds to them without notice),
and what a code means (``dbt_project/``).
"""

from __future__ import annotations

import pycountry

NATIONALITIES = (
    *sorted(country.alpha_2 for country in pycountry.countries),
    "XK",  # Kosovo
    *("SU", "YU", "CS", "AN"),  # states that no longer exist and are still somebody's registered nationality
    "XX",  # stateless or unknown
)
SEXES = ("1", "2")
TARGET_GROUPS = ("JA", "NEE", "NADER_TE_BEPALEN")
TARGET_GROUP_TYPES = ("PLICHT", "RECHT", "RECHT_PLICHT", "MINDERJARIG", "NADER_TE_BEPALEN", "GEEN")
TARGET_GROUP_SUBTYPES = (
    *("RECHT", "PRI_RECHT", "VOL_PROG", "NT2", "MO", "RECHT_PLICHT", "MINDERJARIG", "DOELGROEP", "RECHTHEBBEND"),
)
CONTRACT_TYPES = ("IC07G", "ICF08G", "IC09G", "ICF10G", "IC11G", "ICF12G", "ICO13G")
ADDENDUM_TYPES = ("AIC14G", "AICF15G", "AICF16G", "AICF17G", "AICF18G", "AIC19G", "AIC20G", "AIC21G")
TRACK_TYPES = (
    *("TT_IBVP", "TT_IBRH", "TT_IB-18", "TT_IBNB", "TT_IBBXL", "TT_IBAS", "TT_IBLING", "TT_IBGD", "TT_OBVDAB"),
    *("TT_OBOCMW", "TT_WCIB", "TT_WCTB", "TT_WCTK", "TT_OBSEC", "TT_NT2", "TT_NT2OCMW", "TT_NT2VDAB", "TT_OBMAT"),
    "TT_NIV_BEPALING",
)
TRACK_STATUSES = ("OP", "GS", "TS")
TRACK_DECISIONS = ("JA_IB", "JA_EVC", "NEE", "NEE_ANALFA")
COMPONENT_TYPES = (
    *("TO_OB_MO", "TO_OB_PLO", "TO_OB_ELO", "TO_OB_SLO", "TO_OB_LLO", "TO_A1", "TO_A2", "TO_B1/1", "TO_B1/2"),
    *("TO_B1/3", "TO_B1/4", "TO_B2", "TO_C1", "TO_C2", "TO_OB_INDOND", "TO_SANCTIO", "TO_OB_TO/TV", "TO_NB"),
    *("TO_HH", "TO_OB_W/A"),
)
COMPONENT_DECISIONS = ("VO", "NVO", "NVT")
LANGUAGE_LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
COURSE_STATUSES = (
    *("TOEGEWEZEN", "INGESCHREVEN", "GERESERVEERD", "NT_INGESCHREVEN", "NT_TOEGEWEZEN", "UITGESCHREVEN"),
)
RESULTS = ("GESLAAGD", "NT_GESLAAGD", "NT_DEELGENOMEN")
TEST_TYPES = ("MO", "NT2", "NIVEAU")
DOCUMENT_SORTS = ("ATTEST", "VERKLARING")
DOCUMENT_TYPES = ("AI023", "AEVC05", "VGI01")
INFRINGEMENT_TYPES = ("1", "2", "3", "4", "5", "6", "7", "8")
SANCTIONING_AUTHORITIES = ("VDAB", "OCMW", "VMSW", "HH")
WAITING_LIST_COMPONENTS = ("MO", "NT2")
