"""From the bytes of one file to the dossier in it, or the reason why there is none.

Here: parsing, safely, and telling a dossier from an error reply. Not here: what a dossier holds (``blocks.py``).
Answers differ in the prefixes and namespaces they use, so elements go by their local names.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import ErrorString

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_DOSSIER_BYTES = 8 * 2**20
"""A dossier has some 10 KB; one that is far larger is no dossier, and parsing it would take many times its size."""


class InvalidDossier(Exception):
    """The answer cannot be taken; the message says why, in a sentence or in the words of the reply itself."""


def read_dossier(content: bytes) -> Element:
    """The ``KBIDossier`` element of an answer, every tag reduced to its local name.

    Entities, DTDs and external references are refused, not resolved: no dossier needs one.

    Raises:
        InvalidDossier: not XML, too large, an error reply, not exactly one dossier, or one without an INSZ.
    """
    if len(content) > MAX_DOSSIER_BYTES:
        raise InvalidDossier(f"The file is larger than {MAX_DOSSIER_BYTES // 2**20} MB, far more than a dossier holds.")
    answer = _parse(content)
    for element in answer.iter():
        element.tag = element.tag.rpartition("}")[2]
    dossiers = list(answer.iter("KBIDossier"))
    errors = [error for error in answer.iter("Uitzondering") if not dossiers or text_of(error, "Type") == "FOUT"]
    if errors:
        raise InvalidDossier("; ".join(_message(error) for error in errors))
    if not dossiers:
        raise InvalidDossier("The answer holds no KBIDossier and does not say why.")
    if len(dossiers) > 1:
        raise InvalidDossier(f"The answer holds {len(dossiers)} KBIDossiers: nobody can tell which one counts.")
    if text_of(dossiers[0], "Personalia/INSZ") is None:
        raise InvalidDossier("The dossier has no Personalia/INSZ: nobody can tell whose it is.")
    return dossiers[0]


def text_of(element: Element | None, path: str) -> str | None:
    """The text at ``path`` below an element, white space around it removed; None where there is none."""
    return None if element is None else (element.findtext(path) or "").strip() or None


def _parse(content: bytes) -> Element:
    try:
        return fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise InvalidDossier("The XML declares a DTD or entities, which are never resolved.") from None
    except ParseError as error:
        line, column = error.position
        raise InvalidDossier(f"Not well-formed XML: {ErrorString(error.code)}, line {line}, column {column}.") from None
    except (LookupError, ValueError):
        raise InvalidDossier("The XML is in an encoding that cannot be read.") from None


def _message(error: Element) -> str:
    """The reply's own words. They go to the quarantine only, for a reply may name whom it is about."""
    return text_of(error, "Diagnose") or f"Error reply {text_of(error, 'Identificatie') or ''} without a message."
