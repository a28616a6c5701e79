"""What happens once, in the cloud: backbone, features, modules and the samplers that they are trained on; all cached by content.

May import `sim.streams`, `sim.data`, `sim.scenario` for the settings of a part, and `iciia`.
"""
