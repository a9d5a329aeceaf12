"""Many questions at once: one server, a few sockets, hundreds of questions in flight, so that thousands take seconds."""

import select
import socket
import struct
import time

import dns.name
import dns.rdatatype

IN_FLIGHT = 48      # a socket; more than Consul's receive buffer would hold is lost and asked again
SOCKETS = 4
A_CONNECTION = 100  # Consul resets a connection after 128 answers
PATIENCE = 3.0      # seconds without any answer
TRIES = 4


def wire_of(question, id, payload=None, klass=1, version=0, flags=0, header=0):
    """A query without RD unless header has it (0x100); payload None: without EDNS. flags: of EDNS, 0x8000 is DO."""
    name = dns.name.from_text(question.name).to_wire()
    text = struct.pack("!HHHHHH", id, header, 1, 0, 0, 0 if payload is None else 1) + name + \
        struct.pack("!HH", dns.rdatatype.from_text(question.type), klass)
    if payload is not None:
        text += b"\0" + struct.pack("!HHBBHH", 41, payload, 0, version, flags, 0)
    return text


def over_udp(server, questions, payload, flags=0, header=0):
    """The replies' octets, in the order of the questions."""
    replies = [None] * len(questions)
    todo = list(range(len(questions)))
    for _ in range(TRIES):
        todo = _round(server, questions, payload, flags, header, todo, replies)
        if not todo:
            return replies
    raise OSError(f"no reply from {server} to {len(todo)} questions, the first: {questions[todo[0]]}")


def _round(server, questions, payload, flags, header, todo, replies):
    sockets = []
    for number in range(SOCKETS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect(server)
        sock.setblocking(False)
        sockets.append((sock, todo[number::SOCKETS], {}))
    last = time.monotonic()
    while time.monotonic() - last < PATIENCE and any(waiting or pending for _, waiting, pending in sockets):
        for sock, waiting, pending in sockets:
            while waiting and len(pending) < IN_FLIGHT:
                index = waiting.pop()
                pending[index & 0xffff] = index
                sock.send(wire_of(questions[index], index & 0xffff, payload, flags=flags, header=header))
        readable, _, _ = select.select([sock for sock, _, pending in sockets if pending], [], [], 0.2)
        for sock, _, pending in sockets:
            while sock in readable:
                try:
                    reply = sock.recv(65535)
                except BlockingIOError:
                    break
                index = pending.pop(struct.unpack("!H", reply[:2])[0], None)
                if index is not None:
                    replies[index], last = reply, time.monotonic()
    left = [index for index in todo if replies[index] is None]
    for sock, _, _ in sockets:
        sock.close()
    return left


def over_tcp(server, questions):
    """Pipelined; in order or not, by ID."""
    replies = [None] * len(questions)
    for start in range(0, len(questions), A_CONNECTION):
        some = range(start, min(start + A_CONNECTION, len(questions)))
        with socket.create_connection(server, timeout=10) as sock:
            messages = [wire_of(questions[index], index & 0xffff) for index in some]
            sock.sendall(b"".join(struct.pack("!H", len(message)) + message for message in messages))
            file = sock.makefile("rb")
            for _ in some:
                head = file.read(2)
                if len(head) < 2:
                    raise OSError(f"{server} closed the connection, asked from {questions[start]} on")
                reply = file.read(struct.unpack("!H", head)[0])
                replies[start + ((struct.unpack("!H", reply[:2])[0] - start) & 0xffff)] = reply
    return replies
