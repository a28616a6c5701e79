"""What a run leaves: the schema of its tables, a cohort's rows and sums, final tables, answers and intervals; load and compare.

May import `sim.cohort` for what happened, and what stands below it.
"""
