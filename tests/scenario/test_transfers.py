"""Zones to real secondaries: NSD, Knot and BIND 9 by AXFR, IXFR and NOTIFY, with TSIG."""

import json
import socket
import struct
import time
from unittest import mock

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.tsig
import dns.xfr
import dns.zone
import pytest

from conftest import ZONE
from lib import secondaries
from lib.dnsq import EDE_NOT_AUTHORITATIVE, EDE_PROHIBITED
from lib.lictord import Lictord, primary_of
from lib.secondaries import KEY
from lib.wait import free_port, until

KEY_BLOCK = f'key "{KEY[0]}" {{ secret = "{KEY[1]}" }}\n'
CONTENT = ZONE + """\
mail    IN MX 10 www
sub     IN NS ns.sub
ns.sub  IN A 192.0.2.99
inner.sub IN TXT "below a cut"
odd     IN TYPE65280 \\# 3 0a0b0c
""" + "".join(f"host{n} IN A 10.1.{n // 250}.{n % 250 + 1}\n" for n in range(500))


def zone_block(name, file, ports, extra=""):
    """Every second secondary is told with a signature."""
    notify = ", ".join(f'"127.0.0.1:{port}{f" key:{KEY[0]}" if n % 2 else ""}"' for n, port in enumerate(ports))
    return f'zone "{name}" {{ file = "{file}" transfer = {{"key:{KEY[0]}"}} notify = {{{notify}}} {extra}}}\n'


class Source:
    """A zone file that changes: each version has a serial and records of its own."""

    def __init__(self, *paths):
        self.paths = paths
        self.serial = 2026010101
        self.lines = ""
        self.write()

    def write(self):
        for path in self.paths:
            path.write_text(CONTENT.replace("2026010101", str(self.serial)) + self.lines)

    def change(self, *lines):
        self.serial += 1
        self.lines += "".join(line + "\n" for line in lines)
        self.write()


def transfers(daemon, type, result="sent"):
    return daemon.metrics()[f'lictor_transfers_total{{type="{type}",result="{result}"}}']


BADSIG, BADKEY, BADTIME = 16, 17, 18
KEYRING = {dns.name.from_text(KEY[0]): dns.tsig.Key(KEY[0], KEY[1], "hmac-sha256.")}


def signed_query(name, type, keyring=KEYRING, key=KEY[0], **options):
    query = dns.message.make_query(name, type, use_edns=0, **options)
    query.use_tsig(keyring, key)
    return query


def transfer_refusal(daemon, zone, type="AXFR"):
    """The reply to a signed request that is refused."""
    return dns.query.tcp(signed_query(zone, type), daemon.host, port=daemon.port, timeout=5)


def serial_of(daemon, zone):
    return int(daemon.ask(zone, "SOA").records("SOA")[0].split()[2])


def whole(daemon, zone):
    """The zone by signed AXFR, as dnspython has it."""
    return dns.zone.from_xfr(dns.query.xfr(daemon.host, zone, port=daemon.port, relativize=False, lifetime=20, keyring=KEYRING, keyname=KEY[0],
                                           keyalgorithm="hmac-sha256."), relativize=False)


def told(daemon, zone="example.org"):
    """What the secondaries of a zone acknowledged, by address."""
    for entry in json.loads(daemon.command("zones", "--json", check=True).stdout):
        if entry["zone"] == zone:
            return {s["address"]: s for s in entry["secondaries"]}
    raise AssertionError(f"no zone {zone}")


def test_nsd_knot_and_bind_follow(tmp_path):
    source = Source(tmp_path / "zone")
    ports = [free_port() for _ in secondaries.ALL]
    daemon = Lictord(tmp_path, zones={}, extra=KEY_BLOCK + zone_block("example.org", source.paths[0], ports))
    fleet = [kind(tmp_path, ["example.org"], [daemon.dns], port, wait=False) for kind, port in zip(secondaries.ALL, ports)]
    for server in fleet:
        server.wait_serial("example.org", source.serial)
    assert transfers(daemon, "axfr") + transfers(daemon, "ixfr_whole_zone") >= 3
    assert transfers(daemon, "ixfr") == 0

    source.change("new IN A 192.0.2.200", "mail IN MX 20 new")
    daemon.command("reload", check=True)
    for server in fleet:
        server.wait_serial("example.org", source.serial)
        assert server.ask("new.example.org").addresses() == ["192.0.2.200"]
    assert transfers(daemon, "ixfr") >= 3, "a change goes by differences"
    until(lambda: all(s["acknowledged"] == source.serial and s["state"] == "acknowledged" and s["error"] is None for s in told(daemon).values()),
          what=lambda: told(daemon))
    assert set(told(daemon)) == {f"127.0.0.1:{port}" for port in ports}
    contents = [server.zone("example.org") for server in fleet]
    assert contents[0] == contents[1] == contents[2]


def test_a_pair_and_its_secondaries_through_a_takeover(web, tmp_path):
    """One secondary of each kind for a zone from files and for the catalog's zone; then the primary dies."""
    ports = {kind: free_port() for kind in secondaries.ALL}
    sources = Source(tmp_path / "zone1", tmp_path / "zone2")
    services = {"transfer": [f"key:{KEY[0]}"], "notify": [f"127.0.0.1:{port}" for port in ports.values()]}
    pair = [Lictord(tmp_path, web, node=f"ns{n}", services=services, election={}, zones={}, wait=False, host=f"127.0.0.{n}",
                    extra=KEY_BLOCK + zone_block("example.org", sources.paths[n - 1], ports.values())) for n in (1, 2)]
    for daemon in pair:
        daemon.wait_ready()
    primary, (standby,) = primary_of(pair)
    standby.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    fleet = [kind(tmp_path, ["example.org", "consul"], [d.dns for d in pair], port, wait=False) for kind, port in ports.items()]
    for server in fleet:
        server.wait_serial("example.org", sources.serial)
        server.wait_serial("consul")
        server.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])

    refused = standby.ask("consul", "AXFR", tcp=True)
    assert refused.rcode == "REFUSED" and refused.ede_codes() == [EDE_PROHIBITED], "it is not even signed"
    for zone in ("consul", "example.org"):
        signed = transfer_refusal(standby, zone)
        assert signed.rcode() == dns.rcode.REFUSED and signed.had_tsig
        assert any(EDE_NOT_AUTHORITATIVE == int(o.code) and primary.node in o.text for o in signed.options), signed
    assert serial_of(standby, "consul") <= serial_of(primary, "consul"), "it shows where the primary's block begins"

    # A health flip: in answers at once, at every secondary soon after, by differences.
    before = transfers(primary, "ixfr")
    flipped = time.monotonic()
    web.set_check("web-3", "critical")
    for server in fleet:
        server.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2"])
    took = time.monotonic() - flipped
    assert transfers(primary, "ixfr") >= before + len(fleet)
    print(f"a flip reached all secondaries after {took * 1000:.0f} ms")
    assert took < 5, "1.5 s on a quiet machine"

    target = fleet[0].ask("web.service.consul", "SRV").records("SRV")[0].split()[-1]
    assert fleet[0].ask(target).addresses() in (["10.0.0.1"], ["10.0.0.2"]), "a name that lictord itself only computes"
    assert {s["state"] for s in told(primary, "consul").values()} <= {"acknowledged", "trying"} and len(told(primary, "consul")) == 3

    asked = dns.query.udp(signed_query("nosuch.query.consul", "A"), standby.host, port=standby.port, timeout=5)
    assert asked.rcode() == dns.rcode.NXDOMAIN and asked.had_tsig, "a signed question that had to wait for Consul"

    serials = [server.serial("consul") for server in fleet]
    web.put("/v1/kv/lictor/default/serials", "garbage")  # the standby remembers the block
    primary.kill()
    until(standby.is_primary, what="the standby takes over")
    sources.change("after IN A 192.0.2.77")
    standby.command("reload", check=True)
    for server in fleet:
        server.wait_serial("example.org", sources.serial)
        assert server.ask("after.example.org").addresses() == ["192.0.2.77"]
    assert transfers(standby, "ixfr") >= len(fleet), "the new primary knows what changed since the version before"
    web.set_check("web-2", "critical")
    for server, serial in zip(fleet, serials):
        server.wait_addresses("web.service.consul", ["10.0.0.1"])
        assert server.serial("consul") > serial + 1000, "a new primary's serials begin above the block before"
    assert transfers(standby, "ixfr_whole_zone") >= len(fleet), "its history of the catalog's zone begins anew"
    until(lambda: all(s["state"] == "acknowledged" for s in told(standby).values()), what=lambda: told(standby))
    for name in ("example.org", "consul"):
        for server in fleet:
            until(lambda: server.zone(name) == whole(standby, name), what=f"{name} on {server.name} is what the primary gives by AXFR")


def test_versions_of_a_single_server(web, tmp_path):
    """Without an election serials are reserved in state-dir: from a reload that first wants versions, through clean and other ends."""
    daemon = Lictord(tmp_path, web, services={"reverse": ["10.0.0.0/24"]})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    seen = [serial_of(daemon, "consul")]

    def look():
        """The serial shown; None while nothing is answered."""
        try:
            reply = daemon.ask("consul", "SOA")
        except OSError:
            return None
        if reply.rcode != "NOERROR":
            return None
        seen.append(int(reply.records("SOA")[0].split()[2]))
        return seen[-1]

    def transferred():
        try:
            zone = dns.zone.from_xfr(iter(axfr(daemon, "consul")), relativize=False)
        except dns.xfr.TransferError:  # a version is not there at once
            return None
        return sorted(a.to_text() for a in zone.find_rdataset("web.service.consul.", "A"))

    assert tcp(daemon, dns.message.make_query("consul", "AXFR", use_edns=0)).rcode() == dns.rcode.REFUSED
    daemon.services["transfer"] = ["127.0.0.1"]
    daemon.write_config()
    daemon.command("reload", check=True)
    until(lambda: look() and transferred() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"], what=daemon.tail)
    at = look()
    reverse = dns.zone.from_xfr(iter(axfr(daemon, "0.0.10.in-addr.arpa")), relativize=False)
    assert reverse.get_soa().serial == serial_of(daemon, "0.0.10.in-addr.arpa") and reverse.find_rdataset("2.0.0.10.in-addr.arpa.", "PTR")
    web.set_check("web-3", "critical")
    until(lambda: look() > at and transferred() == ["10.0.0.1", "10.0.0.2"], what=daemon.tail)
    for end in (daemon.stop, daemon.kill):
        at = look()
        end()
        daemon.start()
        until(lambda: look() and look() > at + 1000 and transferred() == ["10.0.0.1", "10.0.0.2"], every=0.001, what=daemon.tail)
    falls = [pair for pair in zip(seen, seen[1:]) if pair[1] < pair[0]]
    assert not falls, f"no serial ever falls: {falls}"


class Deaf:
    """A secondary by hand: it takes NOTIFY and answers as it is told."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.port = self.socket.getsockname()[1]

    def receive(self):
        """(when, message, sender)"""
        wire, sender = self.socket.recvfrom(4096)
        return time.monotonic(), dns.message.from_wire(wire, keyring=KEYRING), sender

    def silent(self, seconds):
        self.socket.settimeout(seconds)
        try:
            return self.receive()[1] is None
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(10)

    def reply(self, message, sender, rcode=dns.rcode.NOERROR, **changes):
        reply = dns.message.make_response(message)
        reply.set_rcode(rcode)
        for name, value in changes.items():
            setattr(reply, name, value)
        self.socket.sendto(reply.to_wire(), sender)


def test_notify_until_acknowledged(tmp_path):
    """Again after a second, after two more; answers that are none do not count; a newer serial begins anew."""
    source = Source(tmp_path / "zone")
    plain, signed = Deaf(), Deaf()
    daemon = Lictord(tmp_path, zones={}, extra=KEY_BLOCK + zone_block("example.org", source.paths[0], [plain.port, signed.port]))
    _, message, sender = signed.receive()
    assert message.had_tsig and message.opcode() == dns.opcode.NOTIFY and message.flags & dns.flags.AA
    assert message.question[0].to_text() == "example.org. IN SOA" and message.answer[0][0].serial == source.serial
    signed.reply(message, sender)  # signed, since the request was
    until(lambda: told(daemon)[f"127.0.0.1:{signed.port}"]["state"] == "acknowledged", what=lambda: told(daemon))

    first, message, sender = plain.receive()
    assert not message.had_tsig and sender[0] == "127.0.0.1"
    plain.reply(message, sender, id=message.id ^ 1)
    other = Deaf()
    other.reply(message, sender)  # from elsewhere
    plain.socket.sendto(message.to_wire(), sender)  # a request
    plain.socket.sendto(b"x" * 5, sender)
    second, message, sender = plain.receive()
    assert 0.9 < second - first < 3, "again after a second"
    plain.reply(message, sender, dns.rcode.REFUSED)
    third, message, sender = plain.receive()
    assert 1.8 < third - second < 5, "and after two"
    state = told(daemon)[f"127.0.0.1:{plain.port}"]
    assert state["state"] == "trying" and state["acknowledged"] is None and state["error"] == "answers REFUSED"
    source.change()
    daemon.command("reload", check=True)
    plain.reply(message, sender)  # too late: it was about the serial before
    fourth, message, sender = plain.receive()
    assert message.answer[0][0].serial == source.serial and fourth - third > 0.9, "never twice a second"
    plain.reply(message, sender)
    until(lambda: told(daemon)[f"127.0.0.1:{plain.port}"] == {"address": f"127.0.0.1:{plain.port}", "acknowledged": source.serial,
                                                              "state": "acknowledged", "error": None}, what=lambda: told(daemon))
    assert plain.silent(1.5)
    metrics = daemon.metrics()
    assert metrics['lictor_notify_total{event="acknowledged"}'] >= 2 and metrics['lictor_notify_total{event="refused"}'] == 1
    shown = daemon.command("zones", check=True).stdout
    assert f"127.0.0.1:{plain.port}" in shown and str(source.serial) in shown


# --- misuse -------------------------------------------------------------------------------------------------

BIG = CONTENT + "".join(f"big{n} IN TXT {' '.join(['x' * 250] * 8)}\n" for n in range(4000))  # 8 MB


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """One lictord with a small and a big zone, by address and by key."""
    base = tmp_path_factory.mktemp("single")
    source = Source(base / "zone")
    (base / "big").write_text(BIG)
    extra = KEY_BLOCK + f"""
key "other.example." {{ secret = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyMTI=" }}
zone "example.org" {{ file = "{source.paths[0]}" transfer = {{"key:{KEY[0]}"}} }}
zone "open.test" {{ file = "{source.paths[0]}.open" transfer = {{"127.0.0.1"}} }}
zone "closed.test" {{ file = "{source.paths[0]}.open" }}
zone "big.test" {{ file = "{base}/big.test" transfer = {{"127.0.0.1"}} }}
"""
    (base / "zone.open").write_text("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n")
    (base / "big.test").write_text(BIG.replace("$ORIGIN example.org.", "$ORIGIN big.test."))
    return Lictord(base, zones={}, workers=1, extra=extra)


def tcp(daemon, message, timeout=5):
    return dns.query.tcp(message, daemon.host, port=daemon.port, timeout=timeout, ignore_trailing=False)


def axfr(daemon, zone, **options):
    return list(dns.query.xfr(daemon.host, zone, port=daemon.port, relativize=False, lifetime=20, **options))


def test_who_may_transfer(single):
    assert len(axfr(single, "open.test")) == 1
    assert axfr(single, "example.org", keyring=KEYRING, keyname=KEY[0], keyalgorithm="hmac-sha256.")
    for zone, query, rcode in (
            ("example.org", dns.message.make_query("example.org", "AXFR", use_edns=0), "REFUSED"),  # neither key nor address
            ("closed.test", dns.message.make_query("closed.test", "AXFR", use_edns=0), "REFUSED"),
            ("nowhere.test", dns.message.make_query("nowhere.test", "AXFR", use_edns=0), "NOTAUTH"),
            ("www.open.test", dns.message.make_query("www.open.test", "AXFR", use_edns=0), "NOTAUTH"),
            ("lictor", dns.message.make_query("lictor", "AXFR", use_edns=0), "NOTAUTH")):
        reply = tcp(single, query)
        assert dns.rcode.to_text(reply.rcode()) == rcode, zone
        assert reply.options and not reply.answer, zone
    other = {dns.name.from_text("other.example."): dns.tsig.Key("other.example.", "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyMTI=", "hmac-sha256.")}
    reply = tcp(single, signed_query("example.org", "AXFR", other, "other.example."))
    assert reply.rcode() == dns.rcode.REFUSED and reply.had_tsig, "a key that signs rightly, but is not in `transfer`"
    assert transfers(single, "axfr", "refused") >= 3


def test_expire_is_told_to_who_asks(single):
    """RFC 7314: in answers to SOA, AXFR and IXFR."""
    def expire(message):
        return [o.data for o in message.options if int(o.otype) == 9]

    asked = [dns.edns.GenericOption(9, b"")]
    seconds = [struct.pack("!I", 604800)]
    for type, keyring in (("SOA", None), ("AXFR", KEYRING)):
        query = dns.message.make_query("example.org", type, use_edns=0, options=asked)
        if keyring:
            query.use_tsig(keyring, KEY[0])
        assert expire(tcp(single, query)) == seconds, type
    for name, type, options in (("example.org", "SOA", None), ("example.org", "NS", asked), ("www.example.org", "SOA", asked)):
        assert expire(tcp(single, dns.message.make_query(name, type, use_edns=0, options=options))) == [], (name, type)


def raw(daemon, wire):
    """Sends octets over UDP and returns those that come back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.sendto(wire, daemon.dns)
        return s.recv(65535)


def tsig_error(wire, algorithm="hmac-sha256."):
    """(rcode, TSIG error, is there a MAC) of a reply that dnspython would refuse to read."""
    name = dns.name.from_text(algorithm).to_wire()
    at = wire.rindex(name) + len(name) + 8
    mac, = struct.unpack_from("!H", wire, at)
    error, = struct.unpack_from("!H", wire, at + 4 + mac)
    return dns.rcode.to_text(wire[3] & 15), error, mac > 0


def test_signatures_of_ordinary_queries(single):
    query = signed_query("www.example.org", "A")
    reply = dns.query.udp(query, single.host, port=single.port, timeout=3)
    assert reply.had_tsig and reply.answer, "a signed question gets a signed answer, which dnspython has checked"
    wrong = {dns.name.from_text(KEY[0]): dns.tsig.Key(KEY[0], "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZ3dyb25nMTI=", "hmac-sha256.")}
    assert tsig_error(raw(single, signed_query("www.example.org", "A", wrong).to_wire())) == ("NOTAUTH", BADSIG, False)
    unknown = {dns.name.from_text("nobody."): dns.tsig.Key("nobody.", KEY[1], "hmac-sha256.")}
    assert tsig_error(raw(single, signed_query("www.example.org", "A", unknown, "nobody.").to_wire())) == ("NOTAUTH", BADKEY, False)
    algorithm = {dns.name.from_text(KEY[0]): dns.tsig.Key(KEY[0], KEY[1], "hmac-sha512.")}
    assert tsig_error(raw(single, signed_query("www.example.org", "A", algorithm).to_wire()), "hmac-sha512.") == ("NOTAUTH", BADKEY, False)
    late = signed_query("www.example.org", "A")
    with mock.patch("time.time", return_value=time.time() - 1000):
        wire = late.to_wire()
    assert tsig_error(raw(single, wire)) == ("NOTAUTH", BADTIME, True), "signed, so that the client learns our time"
    whole = signed_query("www.example.org", "A").to_wire()
    cut = whole[:-3] if whole[-2:] != b"\0\0" else whole[:-1]
    assert dns.message.from_wire(raw(single, cut), keyring=False, ignore_trailing=True).rcode() == dns.rcode.FORMERR
    assert single.metrics()['lictor_refused_total{reason="tsig"}'] >= 4
    assert single.ask("www.example.org").addresses() == ["192.0.2.80"]


def ixfr_wire(zone, authority, count=1, type=251):
    header = struct.pack("!HHHHHH", 77, 0, 1, 0, count, 0)
    return header + dns.name.from_text(zone).to_wire() + struct.pack("!HH", type, 1) + authority


def test_malformed_requests(single):
    name = dns.name.from_text("open.test").to_wire()
    soa = b"\0\0" + struct.pack("!IIIII", 0, 1, 2, 3, 4)

    def record(rdata, owner=name, type=6, klass=1, length=None):
        return owner + struct.pack("!HHIH", type, klass, 0, len(rdata) if length is None else length) + rdata

    assert raw(single, ixfr_wire("open.test", record(soa)))[3] & 15 == 0, "the right one is understood"
    for what, wire in {
            "no SOA": ixfr_wire("open.test", b"", 0),
            "two": ixfr_wire("open.test", record(soa) * 2, 2),
            "short": ixfr_wire("open.test", record(soa[:-1])),
            "overlong": ixfr_wire("open.test", record(soa + b"\0")),
            "a long tail": ixfr_wire("open.test", record(soa + b"x" * 3000)),
            "endless names": ixfr_wire("open.test", record((b"\x3f" + b"a" * 63) * 5 + soa)),
            "length beyond the message": ixfr_wire("open.test", record(soa, length=500)),
            "another owner": ixfr_wire("open.test", record(soa, owner=b"\3www" + name)),
            "another type": ixfr_wire("open.test", record(soa, type=16)),
            "another class": ixfr_wire("open.test", record(soa, klass=3)),
            "a pointer loop": ixfr_wire("open.test", record(b"\xc0\x30\xc0\x30" + soa[2:])),
            "AXFR over UDP": ixfr_wire("open.test", b"", 0, type=252)}.items():
        reply = raw(single, wire)
        assert reply[3] & 15 == 1, f"{what}: {reply.hex()}"
    with socket.create_connection(single.dns, timeout=3) as s:  # an AXFR with a record in its authority section
        wire = ixfr_wire("open.test", record(soa), type=252)
        s.sendall(struct.pack("!H", len(wire)) + wire)
        assert s.recv(4096)[5] & 15 == 1
    chaos = dns.message.make_query("open.test", "AXFR", rdclass="CH")
    assert tcp(single, chaos).rcode() == dns.rcode.REFUSED
    notify = dns.message.make_query("open.test", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert tcp(single, notify).rcode() == dns.rcode.REFUSED, "it is nobody's secondary"


def open_transfer(daemon, zone):
    """A connection on which an AXFR was asked for and nothing is read."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(10)
    s.connect(daemon.dns)
    wire = dns.message.make_query(zone, "AXFR").to_wire()
    s.sendall(struct.pack("!H", len(wire)) + wire)
    return s


def running(daemon):
    return daemon.metrics()["lictor_transfers_running"]


def first_rcode(s):
    data = b""
    while len(data) < 6:
        data += s.recv(6 - len(data))
    return data[5] & 15


def test_slow_readers_and_too_many(single):
    """Clients that do not read hold a place each, and keep nobody else from being answered; beyond the bound there is SERVFAIL."""
    slow = [open_transfer(single, "big.test") for _ in range(100)]
    until(lambda: running(single) == 100, what=lambda: f"{running(single)} transfers")
    took = max(single.ask("www.example.org").took for _ in range(50))
    assert took < 0.5, f"an answer took {took} s beside 100 slow readers"
    more = [open_transfer(single, "big.test") for _ in range(850)]
    assert {first_rcode(s) for s in more[:-1:50]} == {2}
    assert len(axfr(single, "open.test")) == 1, "what fits into one message needs no place"
    assert running(single) == 100
    for s in more + slow:
        s.close()
    until(lambda: running(single) == 0, what=lambda: f"{running(single)} transfers after all clients have gone")
    assert transfers(single, "axfr", "aborted") >= 100 and transfers(single, "axfr", "busy") >= 850
    whole = dns.zone.from_xfr(iter(axfr(single, "big.test")), relativize=False)
    assert len(whole.nodes) > 4000


def test_key_and_zone_removed_in_the_middle(tmp_path):
    """A transfer goes on by what it began with, although a reload takes the key, the right and the zone away."""
    (tmp_path / "zone").write_text(BIG.replace("$ORIGIN example.org.", "$ORIGIN big.test."))
    block = KEY_BLOCK + f'zone "big.test" {{ file = "{tmp_path}/zone" transfer = {{"key:{KEY[0]}"}} }}\n'
    daemon = Lictord(tmp_path, zones={}, extra=block)
    messages = dns.query.xfr(daemon.host, "big.test", port=daemon.port, relativize=False, lifetime=30, keyring=KEYRING, keyname=KEY[0],
                             keyalgorithm="hmac-sha256.")
    first = next(messages)
    daemon.extra = ""
    daemon.write_config()
    daemon.command("reload", check=True)
    assert daemon.ask("big.test", "SOA").rcode == "REFUSED", "the zone is gone"
    assert running(daemon) == 1
    rest = list(messages)
    assert sum(len(m.answer) for m in [first] + rest) > 4000 and len(rest) > 100
    until(lambda: running(daemon) == 0, what="the end of the transfer")
