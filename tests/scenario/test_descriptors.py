"""Descriptors: clients may take what is theirs, never what elections, the disk and the operator need."""

import os
import resource
import socket
import subprocess

import pytest

from lib.lictord import BUILD, Lictord, SANITIZER_ENV
from lib.wait import until

QUERY = b"\0\x21" + b"\0\1\0\0\0\1\0\0\0\0\0\0" + b"\3www\7example\3org\0\0\1\0\1"


@pytest.fixture
def few_files():
    """Daemons start under a soft limit of 256 open files; this process keeps its own."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_tcp_clients_leave_room_for_the_rest(tmp_path, zone_file, few_files):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    few_files()
    daemon = Lictord(tmp_path, zones={"example.org": zone_file}, workers=2)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    clients = []
    try:
        for _ in range(400):
            client = socket.create_connection(daemon.dns, timeout=5)
            client.sendall(QUERY)
            clients.append(client)
        until(lambda: open_files(daemon) > 400, what="all clients to be accepted")
        assert daemon.http("/readyz")[0] == 200
        assert daemon.command("reload").returncode == 0
    finally:
        for client in clients:
            client.close()


def test_no_descriptor_left_is_said_once_and_passes(tmp_path, zone_file):
    daemon = Lictord(tmp_path, zones={"example.org": zone_file})
    held = open_files(daemon)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (held + 2, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    clients = [socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5) for _ in range(20)]
    daemon.wait_logged("cannot accept a client")
    until(lambda: daemon.ask("www.example.org").addresses() == ["192.0.2.80"], what="DNS goes on")
    for client in clients:
        client.close()
    until(lambda: daemon.ready(), what="HTTP comes back")
    assert daemon.process.text().count("cannot accept") == 1, daemon.tail()


def test_head_has_no_body(tmp_path, zone_file):
    daemon = Lictord(tmp_path, zones={"example.org": zone_file})
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5) as client:
        client.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(65536), b""))
    assert text.count(b"HTTP/1.1 200") == 2 and text.count(b"ok\n") == 1, text


def test_closed_standard_streams(tmp_path, zone_file):
    """The log must not end up in a socket or a state file that got descriptor 2."""
    daemon = Lictord(tmp_path, zones={"example.org": zone_file}, start=False)
    child = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', str(BUILD / "lictord"), str(daemon.config)],
                             env={**os.environ, **SANITIZER_ENV})
    try:
        until(lambda: child.poll() is None and daemon.ready(), what="a daemon without standard streams to be ready")
        assert [os.readlink(f"/proc/{child.pid}/fd/{number}") for number in (0, 1, 2)] == ["/dev/null"] * 3
    finally:
        child.terminate()
    assert child.wait(15) == 0
