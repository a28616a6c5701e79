"""From a finished run, or a module's folder, to a file that runs on a device; the steps themselves are `iciia.export`'s.

May import every room but the command line and the benches.
"""
