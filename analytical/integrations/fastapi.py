"""FastAPI: Starlette's middleware by FastAPI's name.

https://fastapi.tiangolo.com/advanced/middleware/
"""

from __future__ import annotations

from .starlette import Middleware

__all__ = ["Middleware"]
