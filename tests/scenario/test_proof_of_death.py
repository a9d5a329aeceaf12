"""A primary whose process is gone is not waited for: its port refuses, so the standby ends its session. A living one is left alone."""

import time

from lib.lictord import primary_of
from lib.wait import stays, until
from test_election import Referee, answers, refused, takeover

one_consul = True

PROVEN = 0.25  # the check alone takes 0.4 to 0.5 s; seen: 0.055 s


def seen(standby, primary):
    """The standby's witness has its connection: the primary counts it."""
    return until(lambda: standby.role_status()["witness"] == "connected", timeout=10)


def test_a_killed_primary_is_replaced_at_once(pair):
    daemons = list(pair())
    times = []
    for _ in range(5):
        primary, (standby,) = primary_of(daemons)
        until(lambda: refused(standby))
        seen(standby, primary)
        with Referee(primary, standby):
            primary.kill()
            times.append(takeover(standby, time.monotonic(), "SIGKILL, proven")[0])
        assert standby.metrics()["lictor_deaths_proven_total"] == 1 and standby.logged("the process of .* is gone")
        primary.start()
        until(lambda: refused(primary))
        standby.stop()  # hands over; its counter begins anew
        standby.start()
    print("answered after", ", ".join(f"{t:.3f}" for t in sorted(times)), "s")
    assert sorted(times)[2] < PROVEN, f"from SIGKILL to the standby's answer: {times}"


def test_a_dropped_connection_is_no_death(pair):
    """The server ends a connection that asks nothing after 3 s: several times, here. The session stays, and so does the epoch."""
    primary, standby = pair()
    seen(standby, primary)
    before = primary.role_status()
    with Referee(primary, standby):
        stays(primary.is_primary, 10)
    after = primary.role_status()
    assert (before["epoch"], before["session"]) == (after["epoch"], after["session"])
    assert standby.metrics()["lictor_deaths_proven_total"] == 0
    seen(standby, primary)


def test_a_stopped_primary_is_not_proven_dead(pair):
    """Its port still accepts (the kernel does): only the check tells."""
    primary, standby = pair()
    seen(standby, primary)
    primary.pause()
    takeover(standby, time.monotonic(), "SIGSTOP, not proven")
    assert standby.metrics()["lictor_deaths_proven_total"] == 0
    primary.resume()
    until(lambda: refused(primary))


def test_who_listens_elsewhere_is_not_taken_for_dead(pair):
    """`advertise` names a port where nobody answers: its refusals prove nothing."""
    from lib.wait import free_port
    primary, standby = pair(election={"advertise": f"127.0.0.1:{free_port()}"})
    with Referee(primary, standby):
        stays(primary.is_primary, 6)
    assert standby.metrics()["lictor_deaths_proven_total"] == 0
    # Its death costs the check's time, no more.
    primary.kill()
    takeover(standby, time.monotonic(), "SIGKILL, not proven")
    assert standby.metrics()["lictor_deaths_proven_total"] == 0
