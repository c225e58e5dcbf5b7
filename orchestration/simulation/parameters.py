"""Every number of the simulation, with its source or the word *assumption*.

Here: figures only. Not here: what is done with them. Sources: [Sn] is the numbering of ``sources.md`` beside this file;
*tuned* means chosen so that the published figures of 8 September 2016 and early 2017 come out (measured there).

A *spread* is a list of evenly spaced quantiles, minimum first and maximum last, in days unless said otherwise.
"""

from __future__ import annotations

from datetime import date

# --- Size and calendar ------------------------------------------------------------------------------------------------

FIRST_SIGNATURE = date(2013, 1, 1)  # assumption: enough contracts of the older regime to keep apart
SHORTEST_HISTORY = 730  # days of signatures, where ``until`` is early

# Contracts a year: 2015-2019 and 2022 published [S1, S39, S40, S44]; before and after: assumption.
CONTRACTS_PER_YEAR = {
    2011: 15_500, 2012: 16_000, 2013: 16_500, 2014: 17_800, 2015: 19_455, 2016: 25_631, 2017: 21_771, 2018: 21_582,
    2019: 22_970, 2022: 20_754, 2023: 21_500,
}  # fmt: skip
# Quarters of 2020 and 2021 from the published changes on the year before [S41, S42].
CONTRACTS_PER_QUARTER = {2020: (5_402, 3_022, 4_630, 4_858), 2021: (6_590, 5_977, 5_264, 5_229)}
# Season within the year or quarter: assumption (school year, summer).
MONTH_WEIGHTS = (1.05, 1.0, 1.05, 0.95, 0.95, 1.0, 0.8, 0.85, 1.2, 1.1, 1.05, 0.8)
WEEKEND_WEIGHT = 0.01  # assumption

RESULT_REGIME_FROM = date(2016, 2, 29)
TEST_REGIME_FROM = date(2022, 3, 1)
NT2_TEST_FROM = date(2023, 9, 1)
VALUES_THRESHOLD_FROM = date(2023, 3, 1)
CLIENT_NUMBERS_CHANGED = date(2022, 1, 1)  # the registry's migration gave new numbers [S29]; its date: assumption

LATER_CONTRACT_SHARE = 0.04  # contracts that are not the person's first: assumption
THIRD_CONTRACT_SHARE = 0.08  # of those: assumption
LATER_CONTRACT_AFTER = (120, 260, 420, 640, 950, 1500)  # since the contract before: assumption
LATER_CONTRACT_ENDS_EARLIER = 0.85  # of contracts followed by another, those broken off before it: assumption
WITHOUT_CONTRACT_SHARE = 0.04  # persons known for Dutch lessons alone, per contract: assumption

# --- Who --------------------------------------------------------------------------------------------------------------

# Compulsory share: 2016, 2017, 2019, 2022 from [S39, S40, S44]; else assumption.
COMPULSORY_SHARE = {
    2013: 0.48, 2014: 0.47, 2015: 0.45, 2016: 0.43, 2017: 0.46, 2018: 0.43, 2019: 0.41, 2020: 0.42, 2021: 0.45,
    2022: 0.49,
}  # fmt: skip
UNDETERMINED_SHARE = 0.0002  # [S40]: 4 of 22,970
BRUSSELS_COMPULSORY_FROM = date(2022, 6, 1)  # [S12]
RECHT_PLICHT_SHARE = 0.01  # of the compulsory: assumption
NO_TARGET_GROUP_RECORD = 0.005  # participation then read from the track: assumption

AGE_AT_SIGNATURE = (17, 20, 23, 25, 27, 29, 31, 34, 37, 42, 49, 72)  # years: assumption
BIRTH_DATE_DIFFERS = 0.004  # column disagrees with the INSZ: assumption
SEX_UNKNOWN = 0.01  # assumption

# Nationalities of 2019 [S48]; those not published: assumption within the EU share of about a fifth.
NATIONALITIES_EU = {
    "RO": 1243, "BG": 845, "PL": 647, "ES": 390, "PT": 330, "IT": 300, "NL": 210, "GR": 170, "FR": 140, "SK": 110,
    "HU": 90, "DE": 70, "LT": 60, "HR": 50, "LV": 40, "CZ": 40, "IE": 20, "CH": 15, "NO": 5, "GB": 90,
}  # fmt: skip
NATIONALITIES_THIRD = {
    "MA": 2668, "AF": 1276, "TR": 1069, "SY": 1065, "PS": 974, "IN": 678, "IQ": 596, "SO": 560, "ER": 520, "RU": 420,
    "IR": 400, "GN": 380, "CN": 370, "BR": 360, "CM": 330, "GH": 320, "PH": 310, "PK": 300, "NP": 280, "UA": 270,
    "TH": 260, "CD": 250, "MK": 240, "AM": 230, "EG": 220, "NG": 210, "ET": 200, "TN": 190, "DZ": 180, "AL": 180,
    "LB": 160, "US": 160, "XK": 150, "RS": 140, "BD": 130, "VN": 120, "CO": 110, "TG": 100, "RW": 90, "XX": 130,
    "BE": 230, "YU": 3, "SU": 4,
}  # fmt: skip
NATIONALITY_MISSING = 0.004  # assumption
# Refugee years: the weight of Syria, Iraq and Afghanistan by year of signature. Assumption.
REFUGEE_NATIONALITIES = ("SY", "IQ", "AF")
REFUGEE_WEIGHT = {2014: 1.2, 2015: 1.9, 2016: 2.6, 2017: 2.1, 2018: 1.3, 2019: 1.0}
EU_SHARE_OF_VOLUNTARY = 0.34  # gives about 0.20 of all contracts [S40]
NATURALISED_SHARE = 0.14  # assumption
NATURALISED_AFTER = (900, 1500, 1900, 2300, 2900, 4000)  # assumption

BIS_FIRST_SHARE = 0.05  # assumption
NUMBER_CORRECTED_SHARE = 0.004  # a second change of number: assumption
NUMBER_CHANGED_AFTER = (10, 60, 150, 300, 500, 900)  # since the first contact: assumption
OLD_NUMBER_DROPPED = 0.4  # of changes known before the first delivery, those whose old row is gone: assumption

# Municipalities by NIS code. Brussels 0.14, Antwerp and Ghent together 0.29 of contracts [S40, S49]; within the
# rest the provinces follow the agency's tracks of 2017 [S49], the municipality within them is an assumption.
MUNICIPALITIES = {
    "11002": 2000, "44021": 900,
    "21001": 180, "21004": 200, "21003": 60, "21009": 110, "21010": 60, "21012": 210, "21013": 90, "21014": 70,
    "21015": 250, "21016": 60, "21005": 50, "21007": 60,
    "12025": 420, "13040": 180, "12021": 130, "11013": 70, "11008": 90, "11035": 80, "13011": 90, "13008": 100,
    "12014": 90, "12007": 80, "11029": 60,
    "71016": 300, "71022": 260, "73107": 140, "71053": 150, "72020": 110, "71004": 150, "73083": 120, "72021": 60,
    "24062": 500, "23088": 270, "24107": 130, "23002": 90, "23077": 120, "23027": 130, "24001": 90, "23025": 80,
    "23047": 60,
    "31005": 370, "34022": 330, "35013": 370, "36015": 250, "33011": 130, "34027": 110, "34040": 120, "36008": 110,
    "38025": 60, "31043": 80, "33021": 50,
    "41002": 380, "46021": 360, "42006": 160, "45041": 130, "46014": 170, "45035": 70, "41048": 90, "44083": 60,
    "43005": 70,
}  # fmt: skip
MOVED_SHARE = 0.25  # live elsewhere later: assumption
MOVED_AFTER = (60, 300, 700, 1200, 2000, 3500)  # assumption

AGENCY = "0543307391"  # AgII [S29]
AGENCY_OF_MUNICIPALITY = {"11002": "0421722346", "44021": "0999999922"}  # Atlas [S7]; Ghent's number is invented
AGENCY_BRUSSELS_DUTCH = "0862910119"  # Huis van het Nederlands Brussel [S29]
BRUSSELS_DUTCH_SHARE = 0.05  # of Brussels contracts: assumption
AGENCY_MISSING = 0.005  # assumption

# --- Target group -----------------------------------------------------------------------------------------------------

TARGET_GROUP_BEFORE = ((5, 20, 45, 75, 100, 200), (10, 60, 200, 500, 1500, 4000))  # compulsory, voluntary: assumption
LEFT_SHARE = (0.09, 0.13)  # leave the target group one day; compulsory, voluntary: assumption, tuned
LEFT_AFTER = (3, 200, 420, 800, 1300, 2200)
RETURNED_SHARE = 0.05  # of those who left: assumption
CHANGED_SHARE = (0.055, 0.02)  # compulsory to voluntary, voluntary to compulsory: assumption, tuned
CHANGED_AFTER = (3, 110, 330, 700, 1200, 2200)
CHANGE_CLOSES_TRACK = 0.45  # assumption
TARGET_GROUP_CLOSED_LATE = 0.3  # of ends, those recorded only after a while: assumption
TARGET_GROUP_CLOSED_AFTER = (1, 15, 35, 60, 100, 180)

# --- What the contract holds ------------------------------------------------------------------------------------------

MO_NOT_IN_CONTRACT = {2013: 0.03, 2016: 0.035, 2021: 0.04, 2022: 0.09}  # 5-10 % in all, rising in 2022: assumption
MO_EXEMPT_BY_DECISION = 0.025  # assumption
NT2_NOT_IN_CONTRACT = 0.04  # exemption 10 % in all: assumption
NT2_EXEMPT_BY_DECISION = 0.03
NT2_PRIOR_LEVEL = 0.045  # reached before signature: assumption
NT2_PRIOR_WITHOUT_COURSE = 0.2  # of those, shown by a test alone: assumption
LO_IN_CONTRACT = 0.6  # assumption
LO_FOLLOWED = 0.3  # component recorded: assumption
FLAGS_ALL_EMPTY = 0.012  # assumption, after the test dossiers' dirt
FLAGS_ALL_FALSE = 0.008
FLAG_EMPTY = 0.01
TEMPLATES = {  # document template by regime: codes from the schema [S7], their meaning is not published
    "effort": ("IC07G", "ICF08G", "IC09G"),
    "result": ("ICF10G", "IC11G"),
    "pillars": ("ICF12G", "ICO13G"),
}
ADDENDUM_TYPES = ("AIC14G", "AICF15G", "AICF16G", "AICF17G", "AICF18G", "AIC19G", "AIC20G", "AIC21G")
ADDENDUM_SHARE = 0.05  # assumption
ADDENDUM_AFTER = (5, 40, 90, 180, 320, 600)
SUSPENDED_SHARE = 0.04  # assumption
SUSPENDED_AFTER = (5, 60, 120, 220, 360, 700)
SUSPENDED_FOR = (20, 60, 90, 130, 200, 365)
SUSPENSION_OPEN = 0.06  # no end recorded: assumption
SUSPENSION_REASONS = {
    "ZWANGERSCHAP": 0.34, "ZIEKTE": 0.26, "BIJSTAND_ZIEK_FAMILIELID": 0.08, "KINDEROPVANG": 0.14, "WERK": 0.12,
    "BUITENLAND": 0.06,
}  # fmt: skip
GAVE_UP_SHARE = (0.035, 0.06)  # break off outside any course; compulsory, voluntary: assumption, tuned
GAVE_UP_AFTER = (80, 240, 340, 450, 700, 1200)

# --- Social orientation (MO) ------------------------------------------------------------------------------------------

# Signature to enrolment. Started within three months: 47 % of 2021, 74 % of 2022 [S44]; before: assumption.
MO_ENROLLED_AFTER = {
    2013: (0, 8, 18, 30, 55, 240),
    2020: (0, 22, 55, 95, 160, 420),
    2022: (0, 12, 32, 60, 100, 300),
}
MO_STARTS_AFTER_ENROLMENT = (0, 2, 6, 12, 20, 35)
MO_LASTS = (28, 45, 62, 78, 92, 130)  # median about 2.5 months: tuned
MO_HOURS = (52, 60, 60, 60, 64)
MO_INDIVIDUAL_SHARE = 0.04  # assumption
MO_INDIVIDUAL_HOURS = (20, 30, 40)
MO_DECIDED_AFTER = (0, 0, 3, 7, 12, 25)  # assumption
MO_NO_SHOW = 0.005  # of enrolments: assumption, tuned
MO_DROP_OUT = (0.021, 0.041)  # of enrolments; compulsory, voluntary: assumption, tuned
MO_DROP_OUT_RETURNS = (0.65, 0.35)
MO_RETURNS_AFTER = (20, 60, 110, 180, 300, 600)
MO_FAIL = (0.025, 0.055)  # of evaluations before tests: assumption, tuned
MO_TEST_FAIL = (0.07, 0.08)  # 90-95 % pass [S46, S47]
MO_RESITS = (0.85, 0.45)  # of fails: assumption, tuned
MO_RESIT_AFTER = (1, 8, 20, 35, 60, 140)
MO_FAIL_AGAIN = 0.22  # of re-sits: assumption
MO_ATTEMPTS = 4
MO_RESIT_BY_TEST_ALONE = 0.5  # test regime: assumption
MO_RESIT_OWN_COMPONENT = 0.5  # re-sit recorded as its own component, else overwriting the first: assumption
MO_TEST_SHOWS = (0.55, 0.25, 0.20)  # scores alone, scores and result, result alone: assumption
MO_TEST_BEFORE_REGIME = 0.02  # a test before 2022: assumption
MO_TEST_ABSENT = 0.03  # a first date missed: assumption
MO_DECISION_MISSING = 0.01  # evaluated before tests, but not recorded: assumption
MO_DECISION_MISSING_WITH_TEST = 0.12  # assumption
ATTENDED_ENOUGH = 0.93  # of completers under the obligation of effort: assumption
MO_LANGUAGES = {  # Arabic, English, French over half [S49]; the rest: assumption
    "ara": 0.29, "eng": 0.17, "fra": 0.15, "nld": 0.06, "tur": 0.05, "prs": 0.05, "pus": 0.04, "spa": 0.04,
    "rus": 0.04, "som": 0.025, "tir": 0.025, "pol": 0.02, "ron": 0.02, "bul": 0.015, "zho": 0.01, "fas": 0.01,
}  # fmt: skip
WAITING_LIST_MO = 0.16  # assumption
WAITING_LIST_NT2 = 0.09
WAITING_LIST_AFTER = (0, 2, 5, 10, 20, 45)

# --- Dutch (NT2) ------------------------------------------------------------------------------------------------------

NT2_STARTS_AT_A2 = (0.30, 0.36)  # compulsory, voluntary: assumption, tuned
NT2_PACE = ((0.38, 0.45, 0.17), (0.42, 0.46, 0.12))  # intensive, standard, slow: assumption, tuned
NT2_COURSE_LASTS = ((25, 36, 45, 56, 70, 85), (65, 85, 105, 125, 140, 155), (130, 165, 195, 225, 250, 290))
NT2_ENROLLED_AFTER = ((0, 4, 12, 25, 50, 200), (-70, -15, 5, 20, 50, 220))  # those at A1, at A2: tuned
NT2_STARTS_AFTER_ENROLMENT = (0, 1, 4, 9, 16, 30)
NT2_NEXT_COURSE_AFTER = (0, 5, 15, 35, 70, 200)
NT2_RESIT_AFTER = (0, 4, 12, 30, 60, 160)
NT2_RETURNS_AFTER = (20, 60, 110, 180, 300, 700)
NT2_RECORDED_AFTER = (0, 0, 1, 3, 7, 14)
NT2_TWO_MODULES = (0.30, 0.0, 0.4)  # levels A1, A2, B1 given in two courses: assumption
NT2_NO_SHOW = 0.0015  # assumption, tuned
NT2_DROP_OUT = ((0.002, 0.008, 0.06), (0.003, 0.011, 0.10))  # by participation, then level A1, A2, B1
NT2_FAIL = ((0.018, 0.045, 0.15), (0.024, 0.085, 0.15))
# Rates fell in the published years 2016-2020 [S45], partly because recent cohorts were unfinished: tuned.
NT2_FAIL_BY_YEAR = {2013: 1.0, 2016: 1.0, 2017: 1.4, 2018: 2.1, 2019: 2.2, 2020: 2.7, 2021: 2.4, 2022: 2.2}
NT2_FAIL_AGAIN_FACTOR = 2.4  # of a re-sit, against a first attempt: assumption
NT2_RESITS = (0.88, 0.42)  # of fails; compulsory, voluntary: tuned
NT2_RETURNS = (0.55, 0.40)  # of drop-outs: assumption
NT2_ATTEMPTS_AT_LEVEL = 4
NT2_COURSES = 11  # longest career
NT2_GOES_ON = (0.45, 0.18)  # beyond the target: to A2 under the old target A1, to B1
NT2_RESULT_MISSING = 0.015  # assumption
NT2_DECISION_MISSING = 0.06  # course result, but no decision on the component: assumption
NT2_A2_OPENED_EARLY = 0.4  # component A2 opened with the track, not after A1: assumption
NT2_DECIDED_AFTER = (0, 0, 2, 6, 12, 25)
NT2_PLACE_KEPT = 0.04  # a place kept or refused before the course: assumption
NT2_TEST_SHARE_BEFORE = 0.03
NT2_TEST_SHARE = 0.6  # from the standardised test on: assumption
NT2_LEVEL_TEST = 0.3  # placement test at intake: assumption
NT2_HOURS_A_DAY = 1.1  # lesson hours per day of course length: assumption
LEFT_WITH_NO_SHOW_RESULT = 0.25  # drop-outs whose course says NT_DEELGENOMEN: assumption

# --- Track, certificate, enforcement ----------------------------------------------------------------------------------

TRACK_BEGINS_BEFORE = (0, 0, 0, 5, 16, 45)
TRACK_BEGINS_AFTER = (0, 0, 0, 2, 5, 10)  # later contracts
TRACK_NAMES_CONTRACT = 0.12  # contract_id filled: "often empty"
TRACK_BRUSSELS = 0.25  # of Brussels tracks, type TT_IBBXL: assumption
TRACK_TWICE = 0.006  # a near-identical second track, after the test dossiers
TRACK_TWICE_REMOVED = 0.4
TRACK_CLOSED = {"certified": 0.8, "left": 0.75, "changed": 0.95, "ended": 0.7}  # assumption
TRACK_CLOSED_AFTER = {
    "certified": (0, 3, 10, 25, 50, 120),
    "left": (0, 7, 20, 40, 70, 150),
    "changed": (0, 3, 10, 20, 40, 90),
    "ended": (30, 70, 120, 190, 280, 500),
}
TRACK_CLOSED_NO_DECISION = 0.35  # assumption
LOW_LITERATE_DECISION = 0.05  # of negative track decisions, NEE_ANALFA: assumption

# Last component passed to certificate. Old regimes: tuned; from 2022 more parts have to be met.
CERTIFIED_AFTER = (
    ((0, 2, 4, 6, 10, 30), (8, 16, 24, 34, 46, 120)),
    ((10, 30, 60, 100, 160, 400), (10, 30, 60, 100, 160, 400)),
)
CERTIFIED_SHARE = ((0.985, 0.94), (0.88, 0.86))  # of those who met the components; before and from 2022
CERTIFICATE_SIGNED_AFTER = (0, 0, 2, 5, 9, 15)
CERTIFICATE_UNSIGNED = 0.08  # only the date of creation: assumption
CERTIFICATE_NAMES_CONTRACT = 0.75  # assumption
CERTIFICATE_WITHOUT_PASS = 0.0008  # the anomaly that must be visible: assumption
EVC_SHARE = 0.008  # until 2016 [S19]: assumption
EVC_UNTIL = date(2016, 12, 31)
EFFORT_STATEMENT_SHARE = 0.25  # of those who failed NT2 under the test regime: assumption

# Infringements per compulsory contract: 1,223 infringements of 2022 on 10,170 compulsory contracts [S27].
INFRINGEMENT_SHARE = {2013: 0.06, 2016: 0.05, 2017: 0.06, 2018: 0.08, 2019: 0.10, 2020: 0.12, 2022: 0.12}
INFRINGEMENT_SHARE_VOLUNTARY = 0.012  # until 2022; none after [S27]
INFRINGEMENT_AFTER = (5, 60, 130, 230, 360, 800)
INFRINGEMENT_TYPES = (0.24, 0.10, 0.06, 0.04, 0.38, 0.05, 0.03, 0.10)  # 1-8: irregular attendance first [S27]
FINED_SHARE = 0.36  # [S27, S56]
FINED_AFTER = (40, 80, 120, 180, 260, 420)
FINES = (50, 100, 100, 150, 150, 250, 500, 1000, 5000)

# --- How the registry is kept -----------------------------------------------------------------------------------------

LATE_SHARE = 0.015  # events registered late: assumption
LATE_BY = (1, 15, 40, 75, 120, 180)
CORRECTED_SHARE = 0.003  # decisions and results first recorded wrongly: assumption
CORRECTED_AFTER = (5, 20, 45, 80, 120, 180)
MISTAKEN_CONTRACTS = 0.0008  # entered by mistake and removed: assumption
MISTAKEN_FOR = (3, 20, 45, 80, 130, 220)

# --- Damage -----------------------------------------------------------------------------------------------------------

LASTING_DAMAGE = 0.1  # of damaged rows, those that come damaged again in every delivery: assumption
# Their children are quarantined with them: a rate of 0.5 % then quarantines at most 1.5 % of any large extract.
DAMAGE_OF_PARENTS = {"personen": 0.5, "contracten": 0.8, "trajecten": 0.8}
DAMAGE_OF_EVERY_KIND_FROM = 20  # rows per rule: an extract of so many shows every kind of damage, whatever the rate
