"""The jackd of the tests on real parts."""

from tests.real.conftest import jackd

__all__ = ["jackd"]
