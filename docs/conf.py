"""Sphinx: furo, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parent.parent))

import analytical

project = "analytical"
author = "the analytical authors"
copyright = "2018-2026, the analytical authors"
release = version = analytical.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "provider_tables",
    "policy_tables",
]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = True
# What annotations name (Mapping, Path, a Protocol of ours without a page) is not linked; what prose names is.
nitpick_ignore_regex = [(r"py:(class|exc|data|obj|attr)", r".*")]
html_theme = "furo"
html_title = f"analytical {release}"
html_static_path = ["_static"]
exclude_patterns = ["_build", "_ext"]
