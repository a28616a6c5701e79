"""Heads: from what a context made of an image to class scores. May import nothing of `iciia`."""
