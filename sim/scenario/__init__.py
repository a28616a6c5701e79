"""The settings, part by part, the YAML file that they come from, and what can be judged of them without data.

May import the floor alone (`sim.errors`, ...), and of `iciia` what settings name: policies, storages.
"""
