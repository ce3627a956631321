"""One destination, one file: how records are stored so that a repeat is harmless."""
