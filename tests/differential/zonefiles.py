"""Zones with everything that RFC 1034, 4592, 6672 and 4035 make hard, plain and signed, and the questions about them."""

import random
import subprocess
from typing import Callable, NamedTuple

SIGNED_FROM, SIGNED_TO = "20200101000000", "20380101000000"

HEAD = """$ORIGIN {zone}
$TTL 300
@ 3600 SOA ns1 hostmaster 7 3600 600 604800 120
@ 3600 NS ns1
@ 3600 NS ns2.sub
@ 3600 NS ns.elsewhere.test.
@ MX 10 mail
@ MX 20 a.wild
@ TXT "apex"
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
"""

BODY = """mail A 192.0.2.25
www 60 A 192.0.2.80
www 60 A 192.0.2.81
www AAAA 2001:db8::80
alias CNAME www
twice CNAME alias
out CNAME www.elsewhere.test.
gone CNAME nothing
gone-deep CNAME x.nothing.deep.ent
to-nodata CNAME mail
to-wild CNAME q.wild
to-wildalias CNAME q.wildalias
to-cut CNAME host.sub
to-at-cut CNAME sub
to-insecure CNAME host.insecure
to-dname CNAME x.dname
to-ent CNAME ent
self CNAME self
loop1 CNAME loop2
loop2 CNAME loop1
a.deep.ent A 192.0.2.1
b.deep.ent TXT "b"
*.wild A 192.0.2.9
*.wild MX 5 mail
here.wild TXT "here"
x.y.wild TXT "below"
*.wildalias CNAME www
*.wildgone CNAME nothing
*.wildwild CNAME q.wild
*.wildcut CNAME host.sub
sub.*.wildent A 192.0.2.10
*.star.wild2 TXT "star"
*.both A 192.0.2.11
both A 192.0.2.12
*.both TXT "text"
sub NS ns1.sub
sub NS ns2.sub
sub NS ns.elsewhere.test.
sub DS 12345 8 2 AAAAAAAABBBBBBBBCCCCCCCCDDDDDDDDEEEEEEEEFFFFFFFF0000000011111111
ns1.sub A 192.0.2.101
ns2.sub A 192.0.2.102
ns2.sub AAAA 2001:db8::102
host.sub A 192.0.2.103
insecure NS ns1.insecure
insecure NS ns1
ns1.insecure A 192.0.2.104
deep.insecure2 NS ns1.sub
other.deep.insecure3 NS ns.elsewhere.test.
dname DNAME target
x.target A 192.0.2.7
y.target CNAME www
*.w.target TXT "below a target"
dname-out DNAME elsewhere.test.
dname-loop DNAME dname-loop
_sip._tcp SRV 1 2 5060 www
_sip._tcp SRV 1 2 5061 q.wild
_sip._tcp SRV 1 2 5062 host.sub
_sip._tcp SRV 1 2 5063 ns.elsewhere.test.
caa CAA 0 issue "ca.test"
odd TYPE65280 \\# 3 010203
odd HINFO "a" "b"
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
svc HTTPS 1 . alpn=h2
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sshfp SSHFP 4 2 AAAAAAAABBBBBBBBCCCCCCCCDDDDDDDDEEEEEEEEFFFFFFFF0000000011111111
UPPER A 192.0.2.14
under_score A 192.0.2.15
\\000bin A 192.0.2.16
\\255high A 192.0.2.17
dot\\.label A 192.0.2.18
-dash A 192.0.2.19
0 A 192.0.2.20
"""


def text(zone):
    label = "l" * 60
    big = "".join(f'big TXT "{number:03d} {"x" * 60}"\n' for number in range(30))
    many = "".join(f"many A 10.1.{number // 250}.{number % 250}\n" for number in range(90))
    wide = "".join(f"wide NS ns{number}.wide\nns{number}.wide A 10.2.0.{number}\nns{number}.wide AAAA 2001:db8:2::{number}\n" for number in range(13))
    hosts = "".join(f"host{number:03d} A 10.3.0.{number}\n" for number in range(0, 200, 3))
    cuts = "".join(f"cut{number:03d} NS ns.elsewhere.test.\n" for number in range(0, 60, 2))
    return HEAD.format(zone=zone) + BODY + big + many + wide + hosts + cuts + f"dname-long DNAME {label}.{label}.{label}\n"


def by_ldns(*options):
    """ldns-signzone, the keys of ldns-keygen."""
    def sign(zone, file, into, out):
        keys = [run(into, "ldns-keygen", "-a", "ECDSAP256SHA256", *flags, zone).strip() for flags in (["-k"], [])]
        run(into, "ldns-signzone", "-i", SIGNED_FROM, "-e", SIGNED_TO, "-f", out, *options, file, *keys)
    return sign


def by_bind(*options):
    """dnssec-signzone: the one of the two that leaves insecure delegations out of an opt-out chain."""
    def sign(zone, file, into, out):
        keys = [run(into, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags, zone).strip() for flags in (["-f", "KSK"], [])]
        file.write_text(file.read_text() + "".join((into / f"{key}.key").read_text() for key in keys))
        run(into, "dnssec-signzone", "-q", "-P", "-s", SIGNED_FROM, "-e", SIGNED_TO, "-o", zone, "-f", out, *options, file, *keys)
    return sign


def run(cwd, *words):
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}"
    return done.stdout


class Kind(NamedTuple):
    zone: str
    sign: Callable  # None: it is not signed


KINDS = {"plain": Kind("plain.test.", None), "nsec": Kind("nsec.test.", by_ldns()),
         "nsec3": Kind("nsec3.test.", by_ldns("-n", "-t", "5", "-s", "aabbccdd")),
         "optout": Kind("optout.test.", by_bind("-A", "-3", "-", "-H", "0"))}


def make(kind, into):
    """Writes the zone, signed if it is to be; returns its file. The keys are made anew: only when they are valid matters."""
    zone, sign = KINDS[kind]
    file = into / f"{zone}zone"
    file.write_text(text(zone))
    if sign is None:
        return file
    signed = into / f"{zone}signed"
    sign(zone, file, into, signed)
    return signed


def trust_anchor(zone, file):
    """The key that signs the keys, as unbound.conf wants it. Both signers leave the public keys beside the zone."""
    keys = [path.read_text() for path in file.parent.glob(f"K{zone}*.key")]
    (key,) = [line for text in keys for line in text.splitlines() if "DNSKEY" in line and " 257 " in line.replace("\t", " ") and not line.startswith(";")]
    return " ".join(key.partition(" ;")[0].split())


TYPES = ["A", "AAAA", "ANY", "CNAME", "DNAME", "DNSKEY", "DS", "HINFO", "MX", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG", "SOA", "SRV", "TXT",
         "TYPE65280", "HTTPS"]
FEW = ["A", "DS", "TXT", "ANY", "NS"]


class Question(NamedTuple):
    name: str
    type: str

    def __str__(self):
        return f"{self.name} {self.type}"


def questions(zone, file, part=1):
    """Of every owner, and of what lies around it, all types; of many names at random a few; always the same. part: one in so many of
    these, evenly, and all of what is rare."""
    owners = {"" if owner == "@" else owner + "." for owner in (line.split()[0] for line in text(zone).splitlines()[2:])}
    common = {owner for owner in owners if owner.startswith(("host", "cut0", "ns"))}
    around = {prefix + owner for owner in owners for prefix in ("", "x.", "*.", "x.y.", "a.*.") if owner not in common or not prefix}
    around |= {"ent.", "deep.ent.", "wildent.", "*.wildent.", "y.wild.", "q.y.wild.", "z.x.y.wild.", "*.star.wild2.", "q.star.wild2.",
               "insecure2.", "insecure3.", "deep.insecure3.", "q.insecure3.", "w.target.", "q.w.dname.", "x.y.z.dname.", "_tcp.", "WWW.",
               "wWw.AliaS."}
    asked = [Question(f"{name}{zone}", type) for name in sorted(around) for type in TYPES]
    rng = random.Random(7)
    for _ in range(400):
        name = ".".join("".join(rng.choice("abcmnoxyz019-_*") for _ in range(rng.randint(1, 6))) for _ in range(rng.randint(1, 3)))
        asked += [Question(f"{name}.{zone}", type) for type in FEW]
    asked += [Question(f"host{number:03d}.{zone}", type) for number in range(200) for type in ("A", "AAAA")]
    asked += [Question(f"cut{number:03d}.{zone}", type) for number in range(62) for type in ("A", "DS")]
    rng.shuffle(asked)
    asked = asked[::part]
    asked += [Question(f"{'x' * 50}.{'y' * 50}.{'z' * 30}.dname-long.{zone}", type) for type in ("A", "ANY", "DNAME", "CNAME")]
    hashed = [line.split()[0] for line in file.read_text().splitlines() if "\tNSEC3\t" in line]
    asked += [Question(f"{prefix}{name}", type) for name in hashed[:6] for prefix in ("", "x.") for type in ("A", "NSEC3", "RRSIG", "ANY")]
    asked += [Question(name, type) for name in ("test.", "elsewhere.test.", f"x{zone}") for type in ("A", "SOA")]
    return asked
