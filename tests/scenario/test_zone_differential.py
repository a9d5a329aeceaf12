"""Zone files, plain and signed, answered by Lictor, NSD and Knot: some thousand questions, and no difference without a reason. And what
a validator thinks of the signed ones."""

import os
from collections import Counter

import pytest

from differential import authorities, batch, zonefiles
from differential.reply import parse
from lib.authorities import KnotFiles, NsdFiles
from lib.lictord import Lictord
from lib.resolvers import validator

LONG = bool(os.environ.get("LICTOR_TEST_LONG"))
PART = 3 if LONG else 14
SIGNED = [kind for kind, zone in zonefiles.KINDS.items() if zone.sign]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    into = tmp_path_factory.mktemp("zones")
    return {kind: zonefiles.make(kind, into) for kind in zonefiles.KINDS}


@pytest.fixture(scope="module")
def servers(files, tmp_path_factory):
    zones = {zonefiles.KINDS[kind].zone: file for kind, file in files.items()}
    base = tmp_path_factory.mktemp("servers")
    lictord = Lictord(base, zones={zone.rstrip("."): file for zone, file in zones.items()})
    return {"lictor": lictord.dns, **{server.name: ("127.0.0.1", server.port) for server in (NsdFiles(base, zones), KnotFiles(base, zones))}}


def test_same_answers(servers, files):
    used, wrong = Counter(), []
    for kind, file in files.items():
        asked = zonefiles.questions(zonefiles.KINDS[kind].zone, file, PART)
        for way in ("plain", "do", "512") if kind in SIGNED and LONG else ("plain", "do") if kind in SIGNED else ("plain",):
            wrong += authorities.differences(servers, asked, way, used)
    assert not wrong, authorities.show(wrong)
    unused = {row.id for row in authorities.TABLE} - set(used)
    assert not unused or not LONG, f"rows that nothing matches: {unused}"


def can_be_validated(question, reply):
    """Whether all that an answer rests on is in the signed zone itself: no delegation, nothing elsewhere, no question that resolvers
    treat in their own way."""
    return reply.aa and not reply.tc and question.type not in ("ANY", "RRSIG", "NSEC", "NSEC3", "DS") and reply.rcode != "YXDOMAIN" and \
        not (question.type in ("CNAME", "DNAME") and "DNAME" in authorities.types(reply.answer)) and \
        not any(record.type == "NS" for record in reply.authority) and \
        not any(record.type in ("CNAME", "DNAME") and ("elsewhere" in record.data or "loop" in record.owner or "self" in record.owner)
                for record in reply.answer)


@pytest.mark.parametrize("kind", SIGNED)
def test_a_validator_believes_it(servers, files, kind, tmp_path):
    zone = zonefiles.KINDS[kind].zone
    asked = zonefiles.questions(zone, files[kind], 5 if LONG else 20)
    ours = dict(zip(asked, map(parse, batch.over_udp(servers["lictor"], asked, 1232, 0x8000))))
    asked = [question for question in asked if question.name.endswith("." + zone) and can_be_validated(question, ours[question])]
    resolver = validator(tmp_path, servers["lictor"][1], zone, zonefiles.trust_anchor(zone, files[kind]))
    theirs = dict(zip(asked, batch.over_udp(("127.0.0.1", resolver.port), asked, 1232, 0x8000, 0x100)))
    assert len(asked) > 100
    secure = 0
    for question in asked:
        reply, authentic = parse(theirs[question]), bool(theirs[question][3] & 0x20)
        assert reply.rcode == ours[question].rcode, f"{question}: {ours[question]}\nvalidator: {reply}"
        # Where unsigned delegations may hide, nobody can say that there is none (RFC 5155 section 9.2).
        assert authentic or kind == "optout" and "NSEC3" in authorities.types(ours[question].authority), f"{question}: {ours[question]}"
        secure += authentic
    assert secure > len(asked) / 4


def test_what_signing_must_not_do(servers, files):
    """Without DO no signature is added; with it the DO bit comes back, AD does not; hashed names are not there."""
    for kind in SIGNED:
        zone = zonefiles.KINDS[kind].zone
        asked = [zonefiles.Question(f"{name}{zone}", "A") for name in ("www.", "nosuch.", "q.wild.", "x.insecure.", "mail.")]
        for wire in batch.over_udp(servers["lictor"], asked, 1232):
            reply = parse(wire)
            assert not {"RRSIG", "NSEC", "NSEC3", "DS"} & authorities.types(reply.answer + reply.authority + reply.additional)
        for wire in batch.over_udp(servers["lictor"], asked, 1232, 0x8000):
            reply = parse(wire)
            assert "RRSIG" in authorities.types(reply.answer + reply.authority) and not wire[3] & 0x20
            assert wire[-11:-8] == b"\0\0\x29" and wire[-4] == 0x80, "the OPT has DO"
    zone = zonefiles.KINDS["nsec3"].zone
    hashed = next(line.split()[0] for line in files["nsec3"].read_text().splitlines() if "\tNSEC3\t" in line)
    for name in (hashed, f"x.{hashed}"):
        for type in ("NSEC3", "RRSIG", "A", "ANY"):
            reply = parse(batch.over_udp(servers["lictor"], [zonefiles.Question(name, type)], 1232, 0x8000)[0])
            assert reply.rcode == "NXDOMAIN" and not reply.answer, f"{name} {type} (RFC 5155 section 7.2.8): {reply}"
