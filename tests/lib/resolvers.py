"""Real resolvers in front of lictord, running the snippets that contrib/ ships with nothing but the port changed."""

from .dnsq import ask
from .process import Process, ROOT
from .wait import free_port, until


class Resolver:
    def __init__(self, name, argv, directory, port):
        self.port = port
        self.process = Process(name, argv, directory / "log")
        until(lambda: self.process.must_live() and self.ask("version.bind", "TXT", klass="CH", timeout=0.5), what=name)

    def ask(self, name, type="A", **options):
        return ask(("127.0.0.1", self.port), name, type, rd=True, **{"timeout": 5, **options})


def snippet(name, lictord_port, mark):
    """The shipped snippet with Lictor's default port replaced."""
    text = (ROOT / "contrib" / name / "lictor.conf").read_text()
    assert f"127.0.0.1{mark}8653" in text
    return text.replace(f"127.0.0.1{mark}8653", f"127.0.0.1{mark}{lictord_port}")


def unbound(tmp_path, lictord_port, extra=""):
    """extra: lines after the shipped snippet."""
    directory, port = tmp_path / "unbound", free_port()
    directory.mkdir()
    (directory / "lictor.conf").write_text(snippet("unbound", lictord_port, "@"))
    (directory / "unbound.conf").write_text(f"""
server:
    interface: 127.0.0.1@{port}
    directory: "{directory}"
    pidfile: ""
    chroot: ""
    username: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    auto-trust-anchor-file: ""
    module-config: "validator iterator"
    trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
    private-address: 10.0.0.0/8
    root-hints: ""
include: "{directory}/lictor.conf"
{extra}
remote-control:
    control-enable: no
""")
    return Resolver("unbound", ["/usr/sbin/unbound", "-d", "-p", "-c", directory / "unbound.conf"], directory, port)


def validator(tmp_path, port, zone, anchor):
    """Unbound that asks 127.0.0.1@port about a signed zone, and believes only what the anchor (a DS or DNSKEY) vouches for."""
    directory, own = tmp_path / "validator", free_port()
    directory.mkdir()
    (directory / "unbound.conf").write_text(f"""
server:
    interface: 127.0.0.1@{own}
    directory: "{directory}"
    pidfile: ""
    chroot: ""
    username: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    do-not-query-localhost: no
    auto-trust-anchor-file: ""
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    local-zone: "test." nodefault
    val-log-level: 2
    root-hints: ""
    num-queries-per-thread: 4096
    so-rcvbuf: 0
stub-zone:
    name: "{zone}"
    stub-addr: 127.0.0.1@{port}
remote-control:
    control-enable: no
""")
    return Resolver("unbound", ["/usr/sbin/unbound", "-d", "-p", "-c", directory / "unbound.conf"], directory, own)


def bind(tmp_path, zones, port):
    """BIND 9 that resolves, and is the parent of what it delegates. zones: name to text of the zone. Everybody it asks is asked at `port`."""
    directory = tmp_path / "named"
    directory.mkdir()
    for zone, text in zones.items():
        (directory / f"{zone}.zone").write_text(text)
    (directory / "named.conf").write_text(f"""
options {{
    directory "{directory}";
    port {port};
    listen-on {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion yes;
    qname-minimization strict;
    dnssec-validation no;
    empty-zones-enable no;
}};
controls {{ }};
""" + "".join(f'zone "{zone}" {{ type primary; file "{zone}.zone"; }};\n' for zone in zones))
    return Resolver("named", ["/usr/sbin/named", "-g", "-n", "1", "-u", "root", "-c", directory / "named.conf"], directory, port)


def dnsmasq(tmp_path, lictord_port):
    directory, port = tmp_path / "dnsmasq", free_port()
    directory.mkdir()
    (directory / "lictor.conf").write_text(snippet("dnsmasq", lictord_port, "#"))
    return Resolver("dnsmasq", ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon", "--user=root",
                                "--conf-file=/dev/null", "--listen-address=127.0.0.1", "--bind-interfaces", "--stop-dns-rebind",
                                f"--port={port}", f"--pid-file={directory}/pid", f"--conf-file={directory}/lictor.conf"], directory, port)
