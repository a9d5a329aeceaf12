"""The query log: off by default, switched by a reload, and a negative answer says why."""

import re

from lib.lictord import Lictord
from lib.wait import until


def settings(path, **more):
    lines = [f'    {key} = {value if isinstance(value, int) else chr(34) + str(value) + chr(34)}' for key, value in more.items()]
    return "\n".join(["query-log {", f'    file = "{path}"', *lines, "}"])


def line_of(path, pattern):
    return until(lambda: path.exists() and next((line for line in path.read_text().splitlines() if re.search(pattern, line)), None),
                 what=lambda: f"{pattern!r} in the query log:\n{path.read_text() if path.exists() else '(no file)'}")


def reload(daemon):
    daemon.write_config()
    daemon.command("reload", check=True)


def test_negative_answers_say_why(consul, tmp_path):
    consul.register("web", id="web-1", address="10.0.0.1", port=80, tags=["v1"])
    consul.register("down", address="10.0.0.9", port=80, status="critical")
    path = tmp_path / "queries"
    daemon = Lictord(tmp_path, consul, services={}, log="info")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    assert daemon.metrics().total("lictor_query_log_queries_total") == 0

    daemon.extra = settings(path, sample="100%", rate=1000)
    reload(daemon)
    daemon.ask("web.service.consul")
    line = line_of(path, "web.service.consul")
    assert re.search(r"^\S+Z query client=127\.0\.0\.1:\d+ transport=udp name=web\.service\.consul\. type=A rcode=NOERROR answers=1 size=\d+ "
                     r"tc=no ede=- zone=consul\.$", line), line
    daemon.ask("down.service.consul", "SRV", tcp=True)
    line = line_of(path, "down.service.consul")
    assert "transport=tcp" in line and "rcode=NXDOMAIN" in line and "type=SRV" in line, line
    assert re.search(r'reason="no such name; down: 1 instances, .*; .*10\.0\.0\.9:80.*, out: check \'.*\' is critical', line), line
    daemon.ask("nosuch.service.consul")
    assert 'reason="no service of this name"' in line_of(path, "nosuch.service.consul")
    daemon.ask("v2.web.service.consul")
    assert "1 in answers" in line_of(path, "v2.web.service.consul")
    daemon.ask("www.example.org")
    assert 'rcode=REFUSED' in line_of(path, "www.example.org") and "ede=20" in line_of(path, "www.example.org")
    assert daemon.metrics().total("lictor_query_log_queries_total") == 5

    # Rotated away: the reload begins the file anew. Only what is negative now.
    path.rename(tmp_path / "queries.1")
    daemon.extra = settings(path, sample="100%", answers="negative")
    reload(daemon)
    daemon.ask("web.service.consul")
    daemon.ask("later.service.consul")
    line_of(path, "later.service.consul")
    assert "name=web.service" not in path.read_text()

    daemon.extra = ""
    reload(daemon)
    before = daemon.metrics().total("lictor_query_log_queries_total")
    daemon.ask("silent.service.consul")
    assert daemon.metrics().total("lictor_query_log_queries_total") == before
    daemon.extra = 'query-log { sample = "100%" }'  # without a file: standard error
    reload(daemon)
    daemon.ask("stderr.service.consul")
    daemon.wait_logged(r'query client=\S+ transport=udp name=stderr\.service\.consul\. .*reason="no service of this name"')
    daemon.extra = settings(tmp_path / "no" / "such" / "folder", sample="100%")
    reload(daemon)
    daemon.wait_logged(r"query log: .*/no/such/folder: cannot be opened: No such file")
    assert daemon.ask("web.service.consul").rcode == "NOERROR"
    daemon.stop()
    assert "silent" not in path.read_text()
