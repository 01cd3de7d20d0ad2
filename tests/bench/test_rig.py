"""What benches and tests start servers with."""

from antiphon_bench.rig import free_port


def test_ports_that_are_asked_for_one_after_the_other_differ() -> None:
    # of 250 drawn from 28,000 two would be the same two times in three
    assert len({free_port() for _ in range(250)}) == 250
