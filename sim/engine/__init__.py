"""Runs: a scenario taken apart once, its cohorts on Ray or here, the collector that commits them, resume, sweeps, replay and plans.

May import every room but the command line and the benches. It alone knows the whole scenario.
"""
