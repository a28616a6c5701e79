"""What clients meet: class subsets, how they drift, which images, in which order; audits and previews of all that.

May import `sim.data` for classes, `sim.scenario` for the settings of a part, and `iciia`.
"""
