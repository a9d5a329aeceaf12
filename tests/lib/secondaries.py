"""Real authoritative servers as secondaries: NSD, Knot and BIND 9, each in a directory and on a port of its own."""

import os

import dns.query
import dns.zone

from .dnsq import ask
from .process import Process
from .wait import free_port, until

KEY = ("xfr.example.", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=")  # base64 of 32 octets


class Secondary:
    """zones: names. primaries: (host, port) each. command() writes the configuration and returns what runs in the foreground.

    With more than one primary each needs an address of its own: secondaries tell by it whom a NOTIFY is from."""

    name = None

    def __init__(self, base, zones, primaries, port=None, wait=True):
        self.dir = base / self.name
        self.dir.mkdir()
        self.zones = zones
        self.primaries = primaries
        self.port = port or free_port()
        self.process = Process(self.name, self.command(), self.dir / "log", cwd=self.dir)
        if wait:
            for zone in zones:
                self.wait_serial(zone)

    def write(self, name, text):
        (self.dir / name).write_text(text)
        return self.dir / name

    def ask(self, name, type="A", **options):
        self.process.must_live()
        return ask(("127.0.0.1", self.port), name, type, timeout=1, **options)

    def serial(self, zone):
        """None while it has no content."""
        try:
            soa = self.ask(zone, "SOA").records("SOA")
        except OSError:
            return None
        return int(soa[0].split()[2]) if soa else None

    def wait_serial(self, zone, serial=None, timeout=20):
        """Until it serves the zone, with this serial."""
        return until(lambda: self.serial(zone) is not None and serial in (None, self.serial(zone)), timeout=timeout,
                     what=lambda: f"serial {serial} of {zone} on {self.name}, which has {self.serial(zone)}:\n{self.process.tail()}")

    def wait_addresses(self, name, want, timeout=20):
        return until(lambda: self.ask(name).addresses() == want, timeout=timeout, every=0.01,
                     what=lambda: f"{name} = {want} on {self.name}: {self.ask(name)}\n{self.process.tail()}")

    def zone(self, zone):
        """All of its content, as dnspython has it, without relativizing."""
        return dns.zone.from_xfr(dns.query.xfr("127.0.0.1", zone, port=self.port, relativize=False), relativize=False)


class Nsd(Secondary):
    name = "nsd"

    def command(self):
        zones = "".join(f"""
zone:
    name: "{zone}"
    zonefile: "{zone}.zone"
    allow-notify: 127.0.0.0/8 NOKEY
    allow-notify: 127.0.0.0/8 {KEY[0]}
    provide-xfr: 127.0.0.1 NOKEY
""" + "".join(f"    request-xfr: {host}@{port} {KEY[0]}\n" for host, port in self.primaries) for zone in self.zones)
        conf = self.write("nsd.conf", f"""
server:
    ip-address: 127.0.0.1@{self.port}
    username: ""
    zonesdir: "{self.dir}"
    database: ""
    pidfile: ""
    xfrdfile: "{self.dir}/xfrd.state"
    zonelistfile: "{self.dir}/zone.list"
    xfrdir: "{self.dir}"
    verbosity: 2
    server-count: 1
    xfrd-reload-timeout: 0
remote-control:
    control-enable: no
key:
    name: {KEY[0]}
    algorithm: hmac-sha256
    secret: "{KEY[1]}"
{zones}""")
        return ["/usr/sbin/nsd", "-d", "-c", conf]


class Knot(Secondary):
    name = "knot"

    def command(self):
        remotes = [f"p{port}" for _, port in self.primaries]
        conf = self.write("knot.conf", f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: "{self.dir}"
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{self.dir}"
key:
  - id: {KEY[0]}
    algorithm: hmac-sha256
    secret: {KEY[1]}
remote:
""" + "".join(f"  - id: p{port}\n    address: {host}@{port}\n    key: {KEY[0]}\n" for host, port in self.primaries) + f"""
acl:
  - id: notify
    address: 127.0.0.0/8
    action: notify
  - id: signed-notify
    address: 127.0.0.0/8
    key: {KEY[0]}
    action: notify
  - id: transfer
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: "{self.dir}"
    master: [{", ".join(remotes)}]
    acl: [notify, signed-notify, transfer]
    journal-max-usage: 4M
zone:
""" + "".join(f"  - domain: {zone}\n" for zone in self.zones))
        return ["/usr/sbin/knotd", "-c", conf]


class Bind(Secondary):
    name = "bind"

    def command(self):
        primaries = " ".join(f"{host} port {port} key {KEY[0]};" for host, port in self.primaries)
        conf = self.write("named.conf", f"""
options {{
    directory "{self.dir}";
    listen-on port {self.port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    notify no;
    dnssec-validation no;
    allow-transfer {{ 127.0.0.1; }};
}};
controls {{ }};
key "{KEY[0]}" {{ algorithm hmac-sha256; secret "{KEY[1]}"; }};
""" + "".join(f'zone "{zone}" {{ type secondary; file "{zone}.zone"; primaries {{ {primaries} }}; allow-notify {{ 127.0.0.0/8; key {KEY[0]}; }}; }};\n'
              for zone in self.zones))
        stay_root = ["-u", "root"] if os.geteuid() == 0 else []
        return ["/usr/sbin/named", "-g", "-n", "1", *stay_root, "-c", conf]


ALL = (Nsd, Knot, Bind)
