"""Messages that are no plain questions, and what each server says to them. Each is (row of the table, or None where both say the same;
what it is; the message)."""

import socket
import struct

import dns.rcode

from .batch import wire_of
from .questions import Question

NOBODY = 0.3  # seconds: how long no answer is waited for


def question(type="A", name="web.service.consul", **more):
    return wire_of(Question(name, type, "odd"), 4711, **more)


def flagged(flags, message=None):
    message = message or question()
    return message[:2] + struct.pack("!H", flags) + message[4:]


def counted(qdcount):
    return question()[:4] + struct.pack("!H", qdcount) + question()[6:]


MESSAGES = [
    (None, "a question", question()),
    (None, "a question with EDNS", question(payload=1232)),
    (None, "RD set", flagged(0x0100)),
    ("cd", "CD and AD set", flagged(0x0030)),
    (None, "opcode STATUS", flagged(2 << 11)),
    (None, "opcode 15", flagged(15 << 11)),
    ("class", "class CH", question(klass=3)),
    ("class", "class ANY", question(klass=255)),
    ("class", "class HS", question(klass=4)),
    ("badvers", "EDNS version 1", question(payload=1232, version=1)),
    ("notify", "opcode NOTIFY", flagged(4 << 11)),
    ("transfer", "AXFR over UDP", question("AXFR", "consul")),
    ("transfer", "IXFR below the apex", question("IXFR")),
    ("payload", "EDNS size 4096", question(payload=4096)),
    (None, "a response", flagged(0x8000)),
    (None, "two questions", counted(2)),
    (None, "no question", counted(0)),
]


def said(server, message):
    """What matters of the reply: rcode, AA, whether there are answers, the EDNS size; None without a reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(NOBODY)
        sock.connect(server)
        sock.send(message)
        try:
            reply = sock.recv(65535)
        except TimeoutError:
            return None
    flags, _, answers, _, additional = struct.unpack("!HHHHH", reply[2:12])
    # Whichever record is last: OPT is, in what is asked here.
    opt = next((struct.unpack("!H", reply[at + 3:at + 5])[0] for at in range(12, len(reply) - 10) if reply[at:at + 3] == b"\0\0\x29"), None)
    extended = next((reply[at + 5] for at in range(12, len(reply) - 10) if reply[at:at + 3] == b"\0\0\x29"), 0)
    return dns.rcode.to_text(flags & 15 | extended << 4), bool(flags & 0x0400), flags & 0x7930, min(answers, 1), opt


def on_one_connection(server, count):
    """How many of so many questions over one TCP connection are answered."""
    message = question()
    answered = 0
    with socket.create_connection(server, timeout=5) as sock:
        file = sock.makefile("rb")
        try:
            for _ in range(count):
                sock.sendall(struct.pack("!H", len(message)) + message)
                head = file.read(2)
                if len(head) < 2 or not file.read(struct.unpack("!H", head)[0]):
                    break
                answered += 1
        except OSError:
            pass
    return answered
