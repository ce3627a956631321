"""The front doors of older code: the same names, flags and files, on today's machinery. Nothing else imports it."""
