"""Moved: the suite ships with the package."""

from analytical.spool.contracts import NOW, Clock, SpoolContract, make_hit

__all__ = ["NOW", "Clock", "SpoolContract", "make_hit"]
