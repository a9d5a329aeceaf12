"""Hostile octets, full disks, taken ports: a clear error, a counter, no crash, the old state kept."""

import hashlib
import os
import random
import socket
import struct
import subprocess

import dns.message
import pytest

from lib.dnsq import ask
from lib.lictord import Lictord
from lib.wait import stays, until

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def lictord(shared):
    return shared


def header(id=1, flags=0, qd=1, an=0, ns=0, ar=0):
    return struct.pack("!6H", id, flags, qd, an, ns, ar)


QUESTION = b"\3web\7service\6consul\0" + struct.pack("!2H", 1, 1)
LOOPS = {
    "a pointer to itself": header() + b"\xc0\x0c\0\1\0\1",
    "two pointers in a ring": header() + b"\xc0\x0e\xc0\x0c\0\1\0\1",
    "a pointer past the end": header() + b"\xff\xff\0\1\0\1",
    "a label past the end": header() + b"\x3fabc",
    "a reserved label type": header() + b"\x80abc\0\0\1\0\1",
    "a name of 300 octets": header() + b"\x3f" + b"a" * 63 + (b"\x3f" + b"b" * 63) * 4 + b"\0\0\1\0\1",
    "no question at all": header(qd=0),
    "65535 questions": header(qd=65535) + QUESTION,
    "an answer in a query": header(an=1) + QUESTION,
    "a counted OPT that is not there": header(ar=1) + QUESTION,
    "an OPT whose data overruns": header(ar=1) + QUESTION + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 5000),
    "two OPTs": header(ar=2) + QUESTION + (b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)) * 2,
    "an OPT with a name": header(ar=1) + QUESTION + b"\1a\0" + struct.pack("!HHIH", 41, 1232, 0, 0),
    "an option that overruns": header(ar=1) + QUESTION + b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, 4, 3, 900),
    "octets after the end": header() + QUESTION + b"trailing",
}


def exchange(address, packet, timeout=0.5):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        udp.sendto(packet, address)
        try:
            return udp.recv(65535)
        except TimeoutError:
            return None


def sound(daemon):
    assert daemon.process.must_live()
    for _ in range(4):
        assert daemon.addresses("web.service.consul") == WEB
        assert daemon.addresses("web.service.consul", tcp=True) == WEB


@pytest.mark.parametrize("name", LOOPS)
def test_malformed(lictord, name):
    reply = exchange(lictord.dns, LOOPS[name])
    assert reply is not None, "a whole header deserves an answer"
    assert reply[:2] == b"\0\1" and reply[2] & 0x80
    assert reply[3] & 15 in (0, 1, 4, 5), "FORMERR, or what the readable part asked for"
    sound(lictord)


def test_all_kinds_at_once(lictord):
    rng = random.Random(8653)
    valid = dns.message.make_query("web.service.consul", "SRV", use_edns=0).to_wire()
    packets = [valid[:length] for length in range(len(valid))]
    for _ in range(6000):
        packet = bytearray(valid)
        for _ in range(rng.randrange(1, 6)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        packets.append(bytes(packet))
    packets += [rng.randbytes(rng.randrange(0, 1500)) for _ in range(3000)]
    packets.append(rng.randbytes(65000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect(lictord.dns)
        for number, packet in enumerate(packets):
            try:
                udp.send(packet)
                if number % 50 == 0:
                    ask(lictord.dns, "web.service.consul", tries=5)  # keeps the pace, and shows that it answers in between
                udp.recv(65535)
            except BlockingIOError:
                pass
    sound(lictord)
    metrics = lictord.metrics()
    assert metrics.total("lictor_malformed_total", reason="formerr") > 0 and metrics.total("lictor_drops_total", reason="response") > 0
    assert metrics.total("lictor_responses_total", rcode="FORMERR") >= metrics.total("lictor_malformed_total", reason="formerr")


def test_responses_are_not_answered(lictord):
    assert exchange(lictord.dns, header(flags=0x8000) + QUESTION, timeout=0.3) is None, "else two servers could talk for ever"
    assert exchange(lictord.dns, b"\0\1\0", timeout=0.3) is None


@pytest.mark.parametrize("opcode,rcode", [(1, 4), (2, 4), (4, 5), (6, 4), (15, 4)])
def test_other_opcodes(lictord, opcode, rcode):
    reply = exchange(lictord.dns, header(flags=opcode << 11) + QUESTION)
    assert reply[3] & 15 == rcode and (reply[2] >> 3) & 15 == opcode


def test_tcp_64_kib(lictord):
    body = header() + QUESTION
    for packet in (body + b"\0" * (65535 - len(body)), os.urandom(65535), LOOPS["two pointers in a ring"]):
        with socket.create_connection(lictord.dns, timeout=5) as stream:
            stream.sendall(struct.pack("!H", len(packet)) + packet)
            stream.settimeout(2)
            try:
                stream.recv(65537)  # an answer or the end: both are in order
            except (ConnectionError, TimeoutError):
                pass
    sound(lictord)


def test_tcp_in_pieces_and_abandoned(lictord):
    body = header() + QUESTION
    message = struct.pack("!H", len(body)) + body
    abandoned = [socket.create_connection(lictord.dns, timeout=5) for _ in range(50)]
    for number, stream in enumerate(abandoned):
        stream.sendall(message[:number % len(message)])
    with socket.create_connection(lictord.dns, timeout=5) as stream:
        for octet in message:
            stream.sendall(bytes([octet]))
        length, = struct.unpack("!H", stream.recv(2))
        assert length > 12
    for stream in abandoned:
        stream.close()
    with socket.create_connection(lictord.dns, timeout=5) as stream:
        stream.sendall(b"\0\0" * 10)
    sound(lictord)


def test_client_that_never_reads(lictord):
    body = header() + QUESTION
    message = struct.pack("!H", len(body)) + body
    with socket.create_connection(lictord.dns, timeout=5) as stream:
        stream.setblocking(False)
        sent = 0
        try:
            while sent < 20_000_000:
                sent += stream.send(message * 500)
        except (BlockingIOError, ConnectionError):
            pass
        sound(lictord)
    sound(lictord)


def test_bad_http(lictord):
    for request in (b"GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"\0" * 4000, b"GET " + b"a" * 100000):
        with socket.create_connection(("127.0.0.1", lictord.http_port), timeout=3) as stream:
            try:
                stream.sendall(request)
                stream.settimeout(1)
                assert b" 200 " not in stream.recv(4096)
            except (ConnectionError, TimeoutError):
                pass
    assert lictord.http("/nosuch")[0] == 404
    sound(lictord)


def test_bad_control_requests(lictord):
    for request in (b"\n", b"{}\n", b"not json\n", b'{"verb": "nosuch"}\n', b"[" * 100000 + b"\n", b"x" * 3_000_000):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(3)
            stream.connect(str(lictord.control))
            try:
                stream.sendall(request)
                stream.shutdown(socket.SHUT_WR)
                stream.recv(65536)
            except (ConnectionError, TimeoutError, BrokenPipeError):
                pass
    assert lictord.command("status").returncode == 0
    assert lictord.command("nosuch").returncode != 0
    sound(lictord)


def test_taken_port_is_noticed(lictord, tmp_path):
    second = Lictord(tmp_path, node="second", start=False, extra='services { }')
    second.consul = lictord.consul
    second.top["listen"] = [f"127.0.0.1:{lictord.port}"]
    second.write_config()
    second.start(wait=False)
    assert second.process.wait(15) not in (0, None)
    assert second.logged(str(lictord.port)) and second.logged("(?i)in use")
    sound(lictord)


def test_taken_http_port_is_said(lictord, tmp_path):
    second = Lictord(tmp_path, lictord.consul, node="second", services={}, wait=False, http=f"127.0.0.1:{lictord.http_port}")
    assert second.process.wait(15) not in (0, None)
    assert second.logged(str(lictord.http_port))


def test_port_refuses_once_the_daemon_is_dead(web, tmp_path):
    lictord = Lictord(tmp_path, web, services={})
    lictord.wait_addresses("web.service.consul", WEB)
    lictord.kill()

    def refused():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.3)
            udp.connect(lictord.dns)
            udp.send(header() + QUESTION)
            try:
                udp.recv(512)
            except ConnectionRefusedError:
                return True
            except TimeoutError:
                return False
    until(refused, timeout=5)
    lictord.start()
    sound(lictord)


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "small"
    path.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", path], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_full_disk_in_state_dir(web, tmp_path, small_disk):
    daemon = Lictord(tmp_path, web, services={}, state_dir=str(small_disk / "state"))
    daemon.wait_addresses("web.service.consul", WEB)
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    web.set_check("web-1", "critical")
    daemon.wait_addresses("web.service.consul", WEB[1:])
    for number in range(40):  # a view too large for what is left
        web.register("filler", id=f"filler-{number}", address=f"10.7.0.{number}", Meta={"text": "x" * 500})
    daemon.wait_logged("(?i)no space left", timeout=60)
    stays(lambda: daemon.addresses("web.service.consul") == WEB[1:], 1)
    filler.unlink()
    web.set_check("web-2", "critical")
    daemon.wait_addresses("web.service.consul", WEB[2:])
    daemon.stop()
    web.kill()
    daemon.start(wait=False)
    daemon.wait_addresses("web.service.consul", WEB[2:])


def test_spoiled_state_files(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={}, election={})
    daemon.wait_addresses("web.service.consul", WEB)
    until(daemon.is_primary)
    daemon.stop()
    for path in (daemon.dir / "state").iterdir():
        if path.is_file() and path.stat().st_size:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0x5a
            path.write_bytes(data)
    daemon.start(wait=False)
    if not until(lambda: daemon.process.status is not None or daemon.http("/healthz")[0] == 200, timeout=15) or not daemon.process.alive:
        assert daemon.logged(str(daemon.dir / "state")), "it may refuse, but it says which file"
    else:
        daemon.wait_addresses("web.service.consul", WEB, timeout=20)


def test_an_epoch_that_could_not_be_saved_is_saved_later(tmp_path):
    daemon = Lictord(tmp_path, start=False)
    state = daemon.dir / "state"
    state.mkdir()
    content = b'{"instance":"6ca97dbd-b4ff-489c-94fe-c98faf7cecb3","epoch_seen":0}'
    (state / "identity").write_bytes(b"lictor-state identity 1 %d %s\n" % (len(content), hashlib.sha256(content).hexdigest().encode()) + content)
    (state / "identity.new").mkdir()  # in the way, as a full disk would be
    daemon.start()
    daemon.wait_logged("epoch: not saved")
    (state / "identity.new").rmdir()
    daemon.wait_logged("epoch: saved again")
    assert b'"epoch_seen":1' in (state / "identity").read_bytes()
    assert daemon.process.text().count("epoch: not saved") == 1
    daemon.stop()


def test_loop_turns_are_short(web, tmp_path):
    """No turn of main above 20 ms: the daemon measures it itself. Sanitizers slow it down; only gross turns fail here."""
    lictord = Lictord(tmp_path, web, services={})
    for number in range(200):
        lictord.consul.register(f"bulk{number}", address="10.8.0.1")
    lictord.wait_addresses("bulk199.service.consul", ["10.8.0.1"], timeout=60)
    longest = lictord.metrics()["lictor_loop_longest_turn_seconds"]
    print(f"longest turn of main's loop, with sanitizers: {longest * 1000:.1f} ms")
    assert 0 < longest < 0.2


def test_a_large_configuration_is_read_beside_the_loop(tmp_path):
    """The turn is CPU time, so a busy host does not count. On main this would take half a second with the sanitizers."""
    zone = tmp_path / "zone"
    zone.write_text("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n")
    daemon = Lictord(tmp_path, zones={f"z{number}.test": zone for number in range(1000)}, log="info")
    daemon.command("reload", check=True, timeout=60)
    longest = daemon.status()["loop"]["longest_turn_ms"]
    print(f"longest turn of main's loop around a reload of 1000 zones: {longest:.1f} ms")
    assert 0 < longest < 200
    daemon.stop()
