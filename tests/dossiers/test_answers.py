"""What is no dossier is refused whole, with a reason for people; what XML can do to a parser is not done here."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.dossiers import FLATTENED_EXTRACTS, answers
from orchestration.dossiers.answers import InvalidDossier, read_dossier, text_of
from orchestration.dossiers.blocks import rows_of
from orchestration.pseudonyms import Key
from tests.deliveries import insz
from tests.dossiers import answers as xml

WHO = insz(21)
GOOD = xml.dossier(WHO)


def reason(content: bytes) -> str:
    with pytest.raises(InvalidDossier) as invalid:
        read_dossier(content)
    return str(invalid.value)


def test_an_error_reply_is_refused_with_its_own_message():
    assert reason(xml.error_reply("De bron antwoordt niet")) == "De bron antwoordt niet"


def test_every_message_of_an_error_reply_is_kept():
    assert reason(xml.answer(errors=xml.errors("Eerst dit") + xml.errors("Dan dat"))) == "Eerst dit; Dan dat"


def test_an_error_reply_without_message_says_its_number():
    assert "30001" in reason(xml.error_reply(None))


def test_a_warning_without_a_dossier_says_why_there_is_none():
    assert reason(xml.error_reply("Geen dossier", kind="WAARSCHUWING")) == "Geen dossier"


def test_an_answer_that_failed_half_way_is_no_complete_state():
    failed = xml.answer(xml.element("KBIDossier", xml.person(WHO)), errors=xml.errors("Half antwoord"))
    assert reason(failed) == "Half antwoord"


def test_a_warning_beside_a_dossier_does_not_spoil_it():
    warned = xml.answer(xml.element("KBIDossier", xml.person(WHO)), errors=xml.errors("Let op", kind="WAARSCHUWING"))
    assert text_of(read_dossier(warned), "Personalia/INSZ") == WHO


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (xml.answer(), "no KBIDossier"),
        (b"<html><body>502 Bad Gateway</body></html>", "no KBIDossier"),
        (xml.answer("<KBIDossier/>"), "no Personalia/INSZ"),
        (xml.dossier(None), "no Personalia/INSZ"),
        (xml.dossier(" \n"), "no Personalia/INSZ"),
        (xml.answer(*[xml.element("KBIDossier", xml.person(WHO))] * 2), "2 KBIDossiers"),
        (b"", "no element found"),
        (GOOD[:-40], "Not well-formed XML"),
        (GOOD.replace(b"1984", b"19\x0084"), "Not well-formed XML"),
        (GOOD.replace(b"1984", b"19\xff84"), "Not well-formed XML"),
        (b'<?xml version="1.0" encoding="x-unheard-of"?>' + GOOD, "encoding"),
        (b'<?xml version="1.0" encoding="big5"?>' + GOOD, "encoding"),
        (GOOD.replace(b"1984", b"&jaar;"), "undefined entity"),
    ],
)
def test_what_is_no_dossier(content, said):
    assert said in reason(content)


def test_a_reason_repeats_nothing_of_what_could_not_be_parsed():
    said = reason(GOOD.replace(b"</Voornaam>", b"</Achternaam>"))
    assert "line" in said
    assert not any(canary in said for canary in (*xml.CANARIES, WHO))


@pytest.mark.parametrize("prefix", ["web", "ns0", "soms"])
def test_prefixes_vary(prefix):
    assert read_dossier(xml.answer(xml.element("KBIDossier", xml.person(WHO)), prefix=prefix)).tag == "KBIDossier"


def test_every_element_may_be_in_a_namespace(flat):
    plain = xml.full_dossier(WHO)
    qualified = plain.replace(b"web:GeefDossierKBIResponse", b"GeefDossierKBIResponse").replace(b"xmlns:web", b"xmlns")
    assert qualified != plain
    assert flat(qualified) == flat(plain)


def test_comments_and_cdata_change_nothing(flat):
    commented = GOOD.replace(b"1984-02-29", b"1984<!-- jaar -->-02-<![CDATA[29]]>").replace(
        b"<Geslacht>", b"<!--x--><Geslacht>"
    )
    assert flat(commented) == flat(GOOD)


def test_other_encodings_are_read(flat):
    declared = b'<?xml version="1.0" encoding="utf-16"?>' + GOOD
    assert flat(declared.decode().encode("utf-16")) == flat(GOOD)


@pytest.mark.parametrize(
    "dtd",
    [
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a PUBLIC "-//A//B" "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>',
        '<!DOCTYPE a [<!ENTITY e "in het dossier zelf">]>',
        "<!DOCTYPE a>",
    ],
)
def test_documents_with_a_dtd_are_refused_and_nothing_is_fetched(dtd, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the parser opened a connection"))
    assert "never resolved" in reason(dtd.encode() + GOOD.replace(b"1984", b"&e;"))


def test_a_billion_laughs_are_not_laughed():
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 30))
    assert "never resolved" in reason(f"<!DOCTYPE a [{entities}]>".encode() + GOOD.replace(b"1984", b"&a29;"))


def test_a_file_far_too_large_is_not_parsed(monkeypatch):
    monkeypatch.setattr(answers, "fromstring", lambda *_, **__: pytest.fail("parsed"))
    assert "larger than" in reason(GOOD + b" " * answers.MAX_DOSSIER_BYTES)


def test_deep_nesting_is_survived(flat):
    deep = xml.dossier(WHO, "<Diep>" * 50_000 + "</Diep>" * 50_000)
    assert set(flat(deep)) == {"personen"}


@given(data=st.data())
def test_whatever_is_damaged_is_read_or_refused_and_nothing_else(data):
    content = xml.full_dossier(WHO)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 80)))
    damaged = content[:start] + data.draw(st.binary(max_size=40)) + content[end:]
    try:
        dossier = read_dossier(damaged)
    except InvalidDossier as invalid:
        assert str(invalid)
    else:
        assert all(extract in FLATTENED_EXTRACTS for extract, _ in rows_of(dossier, Key(bytes(32))))
