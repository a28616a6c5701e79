"""A cohort of clients, simulated: streams and adapters in, what happened out. A pure function of a job and a number.

May import `sim.streams`, `sim.scenario` for the settings of a part, and `iciia`.
"""
