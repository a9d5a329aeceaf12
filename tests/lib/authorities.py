"""Real authoritative servers that serve the same zone files: what answers are compared with."""

from .secondaries import Knot, Nsd


class FromFiles:
    """zones: {name: file}."""

    def __init__(self, base, zones):
        self.files = zones
        super().__init__(base, list(zones), [], wait=False)
        for zone in zones:
            self.wait_serial(zone.rstrip("."))


class NsdFiles(FromFiles, Nsd):
    def command(self):
        zones = "".join(f'zone:\n    name: "{zone}"\n    zonefile: "{file}"\n' for zone, file in self.files.items())
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
    server-count: 1
    minimal-responses: yes
    ipv4-edns-size: 1232
    rrl-ratelimit: 0
remote-control:
    control-enable: no
{zones}""")
        return ["/usr/sbin/nsd", "-d", "-c", conf]


class KnotFiles(FromFiles, Knot):
    def command(self):
        zones = "".join(f"  - domain: {zone}\n    file: {file}\n" for zone, file in self.files.items())
        conf = self.write("knot.conf", f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: "{self.dir}"
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
    udp-max-payload: 1232
log:
  - target: stderr
    any: info
database:
    storage: "{self.dir}"
template:
  - id: default
    storage: "{self.dir}"
    semantic-checks: off
    journal-content: none
    zonefile-sync: -1
zone:
{zones}""")
        return ["/usr/sbin/knotd", "-c", conf]
