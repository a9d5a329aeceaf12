"""Zones from files: one server without election and without Consul, reload, broken files."""

import json
import re
import subprocess

import pytest

from lib.dnsq import EDE_PROHIBITED
from lib.lictord import BUILD, Lictord
from lib.process import ROOT
from lib.wait import until


@pytest.fixture
def lictord(tmp_path, zone_file):
    return Lictord(tmp_path, zones={"example.org": zone_file})


def test_single_server_without_consul(lictord):
    reply = lictord.ask("www.example.org")
    assert reply.rcode == "NOERROR" and reply.aa and reply.addresses() == ["192.0.2.80"] and reply.ttl() == 300
    assert lictord.ask("www.example.org", "AAAA").addresses() == ["2001:db8::80"]
    assert lictord.ask("example.org", "NS").records("NS") == ["ns1.example.org.", "ns2.example.org."]
    alias = lictord.ask("alias.example.org")
    assert alias.records("CNAME") == ["www.example.org."] and alias.addresses() == ["192.0.2.80"]
    assert lictord.ask("x.wild.example.org", "TXT").texts() == ["any"]
    assert lictord.ask("wild.example.org", "TXT").rcode == "NOERROR", "an empty non-terminal exists"
    missing = lictord.ask("nosuch.example.org")
    assert missing.rcode == "NXDOMAIN" and missing.records("SOA", "authority") and missing.ttl("authority") == 60
    assert lictord.ask("web.service.consul").rcode == "REFUSED"
    assert lictord.is_primary()


def test_transfer_is_refused(lictord):
    reply = lictord.ask("example.org", "AXFR", tcp=True)
    assert reply.rcode in ("REFUSED", "NOTIMP") and (reply.rcode == "NOTIMP" or EDE_PROHIBITED in reply.ede_codes())


def test_reload_takes_a_new_zone_file(lictord, zone_file):
    text = zone_file.read_text()
    zone_file.write_text(text.replace("2026010101", "2026010102") + "new IN A 192.0.2.99\n")
    lictord.command("reload", check=True)
    lictord.wait_addresses("new.example.org", ["192.0.2.99"])
    assert " 2026010102 " in lictord.ask("example.org", "SOA").records("SOA")[0]
    zone_file.write_text(text.replace("2026010101", "2026010103"))
    lictord.reload()  # SIGHUP
    lictord.wait_addresses("new.example.org", [])


def test_reload_with_a_broken_zone_keeps_the_old_one(lictord, zone_file):
    lines = zone_file.read_text().splitlines()
    lines.insert(8, "www2 IN A not-an-address")
    zone_file.write_text("\n".join(lines) + "\n")
    done = lictord.command("reload")
    lictord.wait_logged(rf"{zone_file.name}:9: ")
    assert done.returncode != 0 or "example.org.zone:9" in done.stdout + done.stderr
    assert lictord.ask("www.example.org").addresses() == ["192.0.2.80"]
    assert lictord.ask("www2.example.org").rcode == "NXDOMAIN"


def test_reload_with_a_missing_bracket_keeps_the_old_one(lictord, zone_file):
    zone_file.write_text(zone_file.read_text().replace("2026010101 3600 600 604800 60", "( 2026010102 3600 600 604800 60"))
    lictord.reload()
    lictord.wait_logged(rf"{zone_file.name}:\d+: ")
    assert " 2026010101 " in lictord.ask("example.org", "SOA").records("SOA")[0]
    assert lictord.ask("www.example.org").addresses() == ["192.0.2.80"]


def test_reload_with_a_broken_configuration_keeps_the_old_one(lictord):
    good = lictord.render()
    lictord.write_config(good + "\nno-such-key = 1\n")
    done = lictord.command("reload")
    assert done.returncode != 0 and "lictord.conf:" in done.stdout + done.stderr and "no-such-key" in done.stdout + done.stderr
    assert lictord.ask("www.example.org").addresses() == ["192.0.2.80"]
    lictord.write_config(good.replace('"127.0.0.1:%d"' % lictord.port, '"127.0.0.1:1"', 1))
    done = lictord.command("reload")
    assert done.returncode != 0 and "listen" in done.stdout + done.stderr, "what needs a restart is refused by name"
    lictord.write_config(good)
    lictord.command("reload", check=True)
    assert lictord.ask("www.example.org").addresses() == ["192.0.2.80"]


def test_a_fault_in_another_encoding_is_still_told(lictord, zone_file):
    """JSON holds UTF-8 only; a zone file may be Latin-1."""
    zone_file.write_bytes(zone_file.read_bytes() + b"caf\xe9 FOO\xe9 1\n")
    refused = lictord.command("reload")
    assert refused.returncode == 1 and "example.org.zone:" in refused.stderr and "FOO?" in refused.stderr, refused.stderr
    (zone,) = json.loads(lictord.command("zones", "--json", check=True).stdout)
    assert "FOO?" in zone["error"]


def test_reload_adds_and_removes_zones(lictord, tmp_path):
    second = tmp_path / "second.zone"
    second.write_text("$ORIGIN example.net.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 604800 60\n@ NS ns\nns A 192.0.2.53\n")
    lictord.zones["example.net"] = second
    lictord.write_config()
    lictord.command("reload", check=True)
    lictord.wait_addresses("ns.example.net", ["192.0.2.53"])
    del lictord.zones["example.net"]
    lictord.write_config()
    lictord.command("reload", check=True)
    until(lambda: lictord.ask("ns.example.net").rcode == "REFUSED", timeout=5)


@pytest.mark.parametrize("broken,says", [
    ('listen = {"127.0.0.1:notaport"}\n', r"lictord.conf:1: "),
    ("zone \"example.org\" {\n  file = \"x\"\n", r"lictord.conf:\d+: "),
    ("no-such-key = 1\n", r"lictord.conf:1: .*no-such-key"),
])
def test_check_of_a_broken_file(tmp_path, broken, says):
    path = tmp_path / "lictord.conf"
    path.write_text(broken)
    done = subprocess.run([BUILD / "lictord", "-t", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1 and re.search(says, done.stdout), done.stdout


def test_start_with_a_broken_configuration(tmp_path):
    daemon = Lictord(tmp_path, start=False)
    daemon.write_config(daemon.render() + "zone {\n")
    daemon.start(wait=False)
    assert daemon.process.wait(10) == 1
    assert daemon.logged(r"lictord.conf:\d+: ")


def test_shipped_zones_load(tmp_path):
    files = sorted((ROOT / "zones").glob("*.zone"))
    assert files, "zones/ ships samples"
    zones = {file.name[:-len(".zone")]: file for file in files}
    daemon = Lictord(tmp_path, zones=zones)
    for zone in zones:
        reply = daemon.ask(zone, "SOA")
        assert reply.rcode == "NOERROR" and reply.aa and reply.records("SOA"), zone


def test_any_name_has_content_to_restart_from(tmp_path):
    """Names that would be paths, look alike as file names, or are longer than a file name may be."""
    long = ".".join(["a" * 63] * 3)
    names = [".", "0/25.2.0.192.in-addr.arpa", "a%b.test", "a/b.test", "a%2fb.test", "_x.test", long + "." + "a" * 59, long + "." + "a" * 58 + "b"]
    files = {}
    for number, name in enumerate(names):
        files[name] = tmp_path / f"zone{number}"
        files[name].write_text(f'$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n@ TXT "{number}"\n')
    daemon = Lictord(tmp_path, zones=files)
    assert not daemon.logged("not saved"), daemon.tail()
    assert "." in [zone["zone"] for zone in json.loads(daemon.command("zones", "--json", check=True).stdout)]
    daemon.stop()
    for file in files.values():
        file.write_text("broken (")
    daemon.start()
    for number, name in enumerate(names):
        assert daemon.ask(name.rstrip(".") + ".", "TXT").texts() == [str(number)], name
    daemon.stop()


def test_what_did_not_change_is_not_saved_again(tmp_path):
    """Of thousands of zones a reload changes a few, and the disk takes milliseconds for each."""
    zones = {}
    for number in range(20):
        zones[f"z{number}.test"] = tmp_path / f"zone{number}"
        zones[f"z{number}.test"].write_text(f'$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n@ TXT "{number}"\n')
    daemon = Lictord(tmp_path, zones=zones)
    folder = daemon.dir / "state/zones"
    until(lambda: len(list(folder.glob("*.zone"))) == 20)
    before = {file.name: file.stat().st_ino for file in folder.glob("*.zone")}
    zones["z7.test"].write_text('$TTL 60\n@ SOA a. b. 2 2 3 4 5\n@ NS a.\n@ TXT "new"\n')
    daemon.command("reload", check=True)
    until(lambda: (folder / "z7.test.zone").stat().st_ino != before["z7.test.zone"])
    daemon.stop()  # the builder's last job is done
    after = {file.name: file.stat().st_ino for file in folder.glob("*.zone")}
    assert [name for name in after if after[name] != before[name]] == ["z7.test.zone"]
    zones["z7.test"].write_text("broken (")
    daemon.start()
    assert daemon.ask("z7.test", "TXT").texts() == ["new"]


def test_a_file_that_is_gone_is_no_reason_not_to_start(lictord, zone_file):
    """What was kept is served, and the error says so; where nothing was kept, the configuration is at fault."""
    saved = lictord.dir / "state/zones/example.org.zone"
    until(saved.exists, what="the zone is saved")
    lictord.stop()
    text = zone_file.read_text()
    zone_file.unlink()
    lictord.start()
    assert lictord.ask("www.example.org").addresses() == ["192.0.2.80"]
    assert lictord.logged(r"zone example\.org: .*cannot be read") and lictord.logged("serving the content saved last")
    assert "cannot be read" in lictord.command("zones", check=True).stdout
    zone_file.write_text(text.replace("2026010101", "2026010102"))
    lictord.command("reload", check=True)
    assert " 2026010102 " in lictord.ask("example.org", "SOA").records("SOA")[0]
    lictord.stop()
    zone_file.unlink()
    saved.unlink()
    done = subprocess.run([BUILD / "lictord", "-t", "-c", lictord.config], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "cannot be read" in done.stdout + done.stderr
