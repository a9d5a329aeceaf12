"""The network of a run: one namespace a machine, one more with the bridge, nothing in the namespace of the caller.

Addresses are private ones inside the namespaces, and no namespace has a way out.
"""

import ctypes
import os
import shutil
import subprocess

PREFIX = "lictor-chaos-"
SERVERS = {f"server{n}": f"10.77.0.{n}" for n in (1, 2, 3)}
HOSTS = {f"ns{n}": f"10.77.0.{10 + n}" for n in (1, 2, 3)}
CLIENT = {"client": "10.77.0.100"}
CLONE_NEWNET = 0x40000000

# With iptables a partition drops packets silently, both ways. Without it the routes do what they can.
IPTABLES = shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin:/bin")


def sh(*words, check=True):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stdout.strip()}")
    return done


def unavailable():
    """Why no namespaces can be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "no `ip` (Debian package iproute2)"
    net = Net(f"{PREFIX}{os.getpid()}-try")
    try:
        net._namespace("a")
        sh("ip", "-n", net.name("a"), "link", "add", "x0", "type", "veth", "peer", "name", "x1")
        sh("ip", "-n", net.name("a"), "link", "add", "br0", "type", "bridge")
    except OSError as error:
        return str(error)
    finally:
        net.destroy()
    return None


class Net:
    def __init__(self, prefix=None):
        self._prefix = prefix or f"{PREFIX}{os.getpid()}"
        self._made = []

    def name(self, machine):
        return f"{self._prefix}-{machine}"

    def _namespace(self, machine):
        sh("ip", "netns", "add", self.name(machine))
        self._made.append(self.name(machine))
        sh("ip", "-n", self.name(machine), "link", "set", "lo", "up")

    def create(self):
        bridge = self.name("bridge")
        self._namespace("bridge")
        sh("ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", bridge, "link", "set", "br0", "up")
        for machine, address in {**SERVERS, **HOSTS, **CLIENT}.items():
            self._namespace(machine)
            sh("ip", "-n", bridge, "link", "add", machine, "type", "veth", "peer", "name", "eth0", "netns", self.name(machine))
            sh("ip", "-n", bridge, "link", "set", machine, "master", "br0", "up")
            sh("ip", "-n", self.name(machine), "address", "add", f"{address}/24", "dev", "eth0")
            sh("ip", "-n", self.name(machine), "link", "set", "eth0", "up")

    def enter(self, machine):
        """This thread, and those that it starts from now on, live in the machine's namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        file = os.open(f"/run/netns/{self.name(machine)}", os.O_RDONLY)
        try:
            if libc.setns(file, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {self.name(machine)}")
        finally:
            os.close(file)

    def destroy(self):
        """The veth pairs and the bridge go with their namespaces."""
        for namespace in reversed(self._made):
            sh("ip", "netns", "del", namespace, check=False)
        self._made.clear()

    # -- partitions
    def _iptables(self, machine, *words):
        sh("ip", "netns", "exec", self.name(machine), IPTABLES, "-w", *words)

    def cut(self, machine, addresses):
        """No packet between the machine and these addresses."""
        for address in addresses:
            if IPTABLES:
                self._iptables(machine, "-I", "INPUT", "-s", address, "-j", "DROP")
                self._iptables(machine, "-I", "OUTPUT", "-d", address, "-j", "DROP")
            else:
                sh("ip", "-n", self.name(machine), "route", "add", "blackhole", address)

    def cut_all(self, machine):
        """No packet in or out, but loopback works."""
        if IPTABLES:
            self._iptables(machine, "-I", "INPUT", "!", "-i", "lo", "-j", "DROP")
            self._iptables(machine, "-I", "OUTPUT", "!", "-o", "lo", "-j", "DROP")
        else:
            sh("ip", "-n", self.name(machine), "link", "set", "eth0", "down")

    def cut_loopback(self, machine, port):
        """The daemons of the machine do not reach this port of their own loopback. Needs iptables."""
        self._iptables(machine, "-I", "INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port), "-j", "DROP")

    def lose(self, machine, probability):
        """Packets from and to others get lost at random. Needs iptables."""
        loss = ("-m", "statistic", "--mode", "random", "--probability", f"{probability:.2f}", "-j", "DROP")
        self._iptables(machine, "-I", "INPUT", "!", "-i", "lo", *loss)
        self._iptables(machine, "-I", "OUTPUT", "!", "-o", "lo", *loss)

    def heal(self, machine):
        if IPTABLES:
            self._iptables(machine, "-F")
        else:
            sh("ip", "-n", self.name(machine), "link", "set", "eth0", "up")
            sh("ip", "-n", self.name(machine), "route", "flush", "type", "blackhole", check=False)
