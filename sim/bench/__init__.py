"""Where the time goes: the engine, the kernels, latency on one thread, banks of many capacities.

May import every room but the command line. Nothing imports a bench.
"""
