"""updater.py OUT ZONE KEY SECRET MILLISECONDS -- NODE=ADDRESS...: UPDATEs to every host, all the time, each of a name of its own; and a
secondary that follows the zone by IXFR from whoever gives it.

updates.jsonl has a line for each message: when sent, when answered, rcode, name, and whether it asked for something that must be
refused. At the end followed.jsonl has the secondary's copy, made of what it was given."""

import json
import signal
import sys
import threading
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

GIVE_UP = 7.0  # lictord says SERVFAIL after 5 s
FOLLOW_SECONDS = 0.5


def boot():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def texts(zone):
    """{"serial": ..., "names": {name: [text, ...]}} of a dns.zone.Zone: what the checker compares."""
    names = {}
    for name, ttl, rdata in zone.iterate_rdatas(dns.rdatatype.TXT):
        names.setdefault(name.derelativize(zone.origin).to_text().lower(), []).append(rdata.to_text())
    (soa,) = zone.get_rdataset(zone.origin if not zone.relativize else "@", "SOA")
    lines = sorted(f"{name.derelativize(zone.origin)} {ttl} {rdata.to_text()}" for name, ttl, rdata in zone.iterate_rdatas())
    return {"serial": soa.serial, "names": names, "lines": lines}


class Updater:
    def __init__(self, out, zone, key, secret, milliseconds):
        self.out, self.zone, self.milliseconds = out, zone, milliseconds
        self.keyring = {dns.name.from_text(key): dns.tsig.Key(key, secret, "hmac-sha256.")}
        self.over = threading.Event()
        self.lock = threading.Lock()

    def message(self, name, refused):
        message = dns.update.Update(self.zone, keyring=self.keyring)
        if refused:
            message.present("nobody-has-this")
        message.add(name, 60, "TXT", name)
        return message

    def clients(self, node, address):
        number = 0
        while not self.over.wait(self.milliseconds / 1000):
            number += 1
            name, refused, tcp = f"u{number}-{node}", number % 7 == 0, number % 3 == 0
            entry = {"asked": boot(), "at": None, "node": node, "name": f"{name}.{self.zone}.", "rcode": None}
            try:
                send = dns.query.tcp if tcp else dns.query.udp
                reply = send(self.message(name, refused), address, timeout=GIVE_UP)
                entry.update(at=boot(), rcode=reply.rcode())
            except (OSError, dns.exception.DNSException, EOFError) as error:
                entry["error"] = type(error).__name__
            with self.lock:
                self.out.write(json.dumps(entry) + "\n")
                self.out.flush()

    def transfer(self, address, zone):
        """One IXFR, or AXFR if there is nothing yet. The copy stays what it was if it fails."""
        query, serial = dns.xfr.make_query(zone)
        dns.query.inbound_xfr(address, zone, query, timeout=3, lifetime=6)

    def follow(self, addresses, done):
        zone = dns.zone.Zone(self.zone, relativize=False)
        while not self.over.wait(FOLLOW_SECONDS):
            self.follow_once(addresses, zone)
        done.append(zone)

    def follow_once(self, addresses, zone):
        for address in addresses:
            try:
                self.transfer(address, zone)
                return
            except (OSError, dns.exception.DNSException, EOFError, ValueError, KeyError):
                pass


def main(folder, zone, key, secret, milliseconds, hosts):
    with open(Path(folder) / "updates.jsonl", "a") as out:
        updater = Updater(out, zone, key, secret, milliseconds)
        signal.signal(signal.SIGTERM, lambda *_: updater.over.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        followed = []
        threads = [threading.Thread(target=updater.clients, args=item) for item in hosts.items()]
        threads.append(threading.Thread(target=updater.follow, args=(list(hosts.values()), followed)))
        for thread in threads:
            thread.start()
        updater.over.wait()
        for thread in threads:
            thread.join()
    # What came last, once nothing is sent any more.
    updater.follow_once(list(hosts.values()), followed[0])
    (Path(folder) / "followed.jsonl").write_text(json.dumps({"node": "a secondary, by IXFR", **texts(followed[0])}) + "\n")


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(*sys.argv[1:5], float(sys.argv[5]), dict(word.split("=") for word in sys.argv[split + 1:]))
