"""prober.py OUT MILLISECONDS ZONE... -- NODE=ADDRESS...: asks every host for the SOA of the zones, one after the other, all the time.

One thread, one connected socket a host, packets made by hand: dnspython would cost a core at this rate. The instant of a
reply is the kernel's (SO_TIMESTAMPNS), so that the prober's own scheduling does not count.
"""

import json
import select
import signal
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
GIVE_UP = 2_000_000_000


def boot():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def question(id, zone):
    name = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0"
    nsid = struct.pack("!HH", 3, 0)  # RFC 5001
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(nsid)) + nsid
    return struct.pack("!HHHHHH", id, 0, 1, 0, 0, 1) + name + struct.pack("!HH", 6, 1) + opt


def skip_name(packet, at):
    while True:
        length = packet[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if length == 0:
            return at


def facts(packet):
    """{"rcode", "aa", "serial", "nsid", "ede"} of a reply."""
    _, flags, questions, answers, authorities, additionals = struct.unpack("!HHHHHH", packet[:12])
    found = {"rcode": flags & 15, "aa": bool(flags & 0x400), "serial": None, "nsid": None, "ede": None}
    at = 12
    for _ in range(questions):
        at = skip_name(packet, at) + 4
    for number in range(answers + authorities + additionals):
        at = skip_name(packet, at)
        type, _, _, size = struct.unpack("!HHIH", packet[at:at + 10])
        at += 10
        if type == 6 and number < answers:
            found["serial"] = struct.unpack("!I", packet[at + size - 20:at + size - 16])[0]
        elif type == 41:
            option = at
            while option + 4 <= at + size:
                code, length = struct.unpack("!HH", packet[option:option + 4])
                data = packet[option + 4:option + 4 + length]
                if code == 3:
                    found["nsid"] = data.decode(errors="replace")
                elif code == 15 and length >= 2:
                    found["ede"] = struct.unpack("!H", data[:2])[0]
                option += 4 + length
        at += size
    return found


def main(out, milliseconds, zones, hosts):
    going = True

    def end(*_):
        nonlocal going
        going = False
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sockets, open_questions, poll = {}, {}, select.poll()
    for node, address in hosts.items():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.connect((address, 53))
        sockets[sock.fileno()] = (node, sock)
        poll.register(sock, select.POLLIN)
    id, turn = 0, 0
    interval = int(milliseconds * 1e6)
    due = boot()

    def close(key, at, reply):
        asked, node, zone = open_questions.pop(key)
        out.write(json.dumps({"asked": asked, "at": at, "node": node, "zone": zone, **reply}) + "\n")

    while going:
        now = boot()
        if now >= due:
            due = max(due + interval, now)
            zone = zones[turn % len(zones)]
            turn += 1
            for number, (node, sock) in sockets.items():
                id = (id + 1) % 65536
                open_questions[number, id] = (boot(), node, zone)
                try:
                    sock.send(question(id, zone))
                except OSError:
                    close((number, id), None, {"error": "send"})
            for key in [key for key, (asked, _, _) in open_questions.items() if now - asked > GIVE_UP]:
                close(key, None, {"error": "timeout"})
        for number, _ in poll.poll(max(0, (due - boot()) / 1e6)):
            node, sock = sockets[number]
            while True:
                try:
                    packet, ancillary, _, _ = sock.recvmsg(4096, 64)
                except BlockingIOError:
                    break
                except OSError:
                    continue  # a refused port of earlier: its questions time out
                at = boot()
                for _, type, data in ancillary:
                    if type == SO_TIMESTAMPNS:
                        seconds, nanoseconds = struct.unpack("qq", data[:16])
                        at -= time.clock_gettime_ns(time.CLOCK_REALTIME) - seconds * 1_000_000_000 - nanoseconds
                key = (number, struct.unpack("!H", packet[:2])[0])
                if key in open_questions:
                    close(key, at, facts(packet))
    for key in list(open_questions):
        close(key, None, {"error": "end"})
    out.close()


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(open(sys.argv[1], "a"), float(sys.argv[2]), sys.argv[3:split], dict(word.split("=") for word in sys.argv[split + 1:]))
