"""Imports that are put off until something is sent, made so that a fork at that very moment harms nobody.

A module's import lock that another thread holds while a process forks is held in the child for ever. So whoever imports
in a thread of ours does it under one lock, and a fork waits for that lock.
"""

from __future__ import annotations

import os
import threading

__all__ = ["loading"]

#: ``with loading: import …``. Reentrant, because an import may lead to another.
loading = threading.RLock()

# The thread that forks is the only one in the child, and holds the lock there too.
os.register_at_fork(before=loading.acquire, after_in_parent=loading.release, after_in_child=loading.release)
