"""One service, one file: pure, values in and values out; :mod:`~analytical.providers.base` is the shell around them."""
