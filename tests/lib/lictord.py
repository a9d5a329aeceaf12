"""A lictord under test: its configuration, its process and its four faces (DNS, HTTP, control socket, log)."""

import json
import os
import re
import signal
import subprocess
import urllib.error
from pathlib import Path

from .consul import DIRECT
from .dnsq import ask
from .process import Process, ROOT
from .wait import ProcessDied, free_port, until

BUILD = Path(os.environ.get("LICTOR_TEST_BUILD", ROOT / "build/debug"))
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "LSAN_OPTIONS": "report_objects=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def text_of(value):
    """A Python value as lictord.conf has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(text_of(item) for item in value) + "}"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def block(name, settings, title=None):
    lines = [f"{name} {text_of(title) + ' ' if title else ''}{{"]
    lines += [f"    {key.replace('_', '-')} = {text_of(value)}" for key, value in settings.items() if value is not None]
    return "\n".join(lines + ["}"])


class Metrics(dict):
    """Samples of /metrics: key `name` or `name{label="value",...}`, value float."""

    def total(self, name, **labels):
        """The sum of a family's samples that carry these labels."""
        found = 0.0
        for key, value in self.items():
            family, _, rest = key.partition("{")
            if family == name and all(f'{label}="{want}"' in rest for label, want in labels.items()):
                found += value
        return found

    @staticmethod
    def parse(text):
        samples = Metrics()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                samples[key] = float(value)
        return samples


class Lictord:
    """services: settings of the block, {} for defaults, None for no block. zones: {"example.org": Path or settings}. actions: {"name": {settings}}.

    netns and host: it runs in that network namespace at that address, DNS on port 53, beside an agent on the namespace's loopback."""

    def __init__(self, tmp_path, consul=None, node="ns1", services=None, election=None, zones=None, actions=None, consul_settings=None,
                 extra="", env=None, start=True, wait=True, host="127.0.0.1", netns=None, **top):
        self.dir = Path(tmp_path) / node
        self.dir.mkdir(parents=True, exist_ok=True)
        self.node = node
        self.consul = consul
        self.host = host
        self._within = ["ip", "netns", "exec", netns] if netns else []
        self.port, self.http_port = (53, 8654) if netns else (free_port(), free_port())
        self.control = self._control_path()
        self.config = self.dir / "lictord.conf"
        self.log = self.dir / "log"
        self.env = {**SANITIZER_ENV, **(env or {})}
        self.services, self.election, self.zones, self.actions = services, election, zones or {}, actions or {}
        self.consul_settings = consul_settings or {}
        self.extra = extra
        self.top = {"node": node, "listen": [f"{host}:{self.port}"], "workers": 1, "state-dir": str(self.dir / "state"),
                    "http": f"{host}:{self.http_port}", "control": str(self.control), "log": "debug"}
        self.top.update({key.replace("_", "-"): value for key, value in top.items()})
        self.process = None
        self.write_config()
        if start:
            self.start(wait)

    def _control_path(self):
        # sun_path holds 107 octets and pytest's tmp_path may be longer: a link in /tmp keeps it short.
        path = self.dir / "control.sock"
        if len(str(path)) > 100:
            import tempfile
            link = Path(tempfile.mkdtemp(prefix="lictor-")) / "d"
            link.symlink_to(self.dir)
            path = link / "control.sock"
        return path

    # -- configuration
    def render(self):
        parts = [f"{key} = {text_of(value)}" for key, value in self.top.items()]
        if self.consul:
            settings = {"address": "http://127.0.0.1:8500" if self._within else self.consul.url}
            if self.consul.token and "token_file" not in self.consul_settings:
                settings["token"] = self.consul.token
            settings.update(self.consul_settings)
            parts.append(block("consul", settings))
        if self.services is not None:
            parts.append(block("services", self.services))
        if self.election is not None:
            parts.append(block("election", {"cluster": "default", "advertise": f"{self.host}:{self.port}", **self.election}))
        for zone, file in self.zones.items():
            parts.append(block("zone", file if isinstance(file, dict) else {"file": str(file)}, zone))
        for name, settings in self.actions.items():
            parts.append(block("action", settings, name))
        return "\n".join(parts + [self.extra, ""])

    def write_config(self, text=None):
        self.config.write_text(text if text is not None else self.render())

    # -- the process
    def start(self, wait=True, timeout=30):
        self.process = Process(f"lictord {self.node}", [*self._within, BUILD / "lictord", "-c", self.config], self.log, env=self.env, cwd=self.dir)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        until(lambda: self.process.must_live() and self.ready(), timeout=timeout, what=lambda: f"/readyz of {self.node}: {self.http('/readyz')}\n{self.tail()}")

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def stop(self, timeout=20):
        """SIGTERM; the exit status must be 0."""
        status = self.process.terminate(timeout)
        assert status == 0, f"{self.node} ended with {status} on SIGTERM:\n{self.tail()}"

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def tail(self, lines=60):
        return self.process.tail(lines) if self.process else ""

    def logged(self, pattern):
        """The first match of a regular expression in the log, or None."""
        return re.search(pattern, self.process.text())

    def wait_logged(self, pattern, timeout=15):
        return until(lambda: self.logged(pattern), timeout=timeout, what=lambda: f"log of {self.node} to say {pattern!r}:\n{self.tail()}")

    # -- DNS
    @property
    def dns(self):
        return (self.host, self.port)

    def ask(self, name, type="A", **options):
        if self.process and not self.process.alive:
            raise ProcessDied(f"{self.node} ended with {self.process.status}:\n{self.tail()}")
        return ask(self.dns, name, type, **options)

    def addresses(self, name, type="A", **options):
        return self.ask(name, type, **options).addresses()

    def wait_addresses(self, name, want, timeout=10, type="A", **options):
        """Polls until exactly these addresses are answered; returns the reply."""
        want = sorted(want)

        def right():
            reply = self.ask(name, type, **options)
            return reply if reply.addresses() == want else None
        return until(right, timeout=timeout, what=lambda: f"{name} {type} = {want} from {self.node}, have {self.ask(name, type, **options)}")

    # -- HTTP
    def http(self, path, timeout=5):
        """(status, text)"""
        try:
            with DIRECT.open(f"http://{self.host}:{self.http_port}{path}", timeout=timeout) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def ready(self):
        return self.http("/readyz")[0] == 200

    def metrics(self):
        status, text = self.http("/metrics")
        assert status == 200, text
        return Metrics.parse(text)

    # -- the operator's command
    def command(self, *words, check=False, timeout=15):
        done = subprocess.run([BUILD / "lictor", "--control", self.control, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout, env={**os.environ, **SANITIZER_ENV})
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        if check:
            assert done.returncode == 0, f"lictor {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def status(self):
        return json.loads(self.command("status", "--json", check=True).stdout)

    # -- the role: from /v1/status, which costs no process a poll
    def role_status(self):
        status, text = self.http("/v1/status")
        assert status == 200, text
        return json.loads(text)["role"]

    def is_primary(self):
        """May it act now, by its own word? A dead or stopped one says nothing: False."""
        try:
            return self.role_status()["may_act"]
        except OSError:
            return False

    def epoch(self):
        return self.role_status()["epoch"]


def primary_of(daemons, timeout=20):
    """The one that is primary; (primary, others)."""
    def found():
        first = [d for d in daemons if d.process.alive and d.is_primary()]
        return first if len(first) == 1 else None
    first = until(found, timeout=timeout, what="one primary among " + ", ".join(d.node for d in daemons))[0]
    return first, [d for d in daemons if d is not first]
