"""Contexts: what an image attends to, and the layers through which it does. A whole module, its session on a device, its files.

May import `iciia.heads`, `iciia.banks` and `iciia.policies`.
"""
