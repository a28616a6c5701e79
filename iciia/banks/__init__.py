"""Banks: what is kept of a client's past, and in which numbers. May import `iciia.policies`, which say of which images."""
