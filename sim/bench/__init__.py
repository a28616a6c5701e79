"""Where the time goes: the engine, the kernels, latency on one thread, exported steps, banks of many capacities.

May import every room but the command line. Nothing imports a bench.
"""
