"""Speed and memory beside their peers: `make bench`, or `python -m benchmarks`.

What belongs here: one module per thing that is measured, its peers in `peers/`, and how figures are taken and shown.
Both sides of a figure are measured in the same run, in turns. What does not: tests of results.
"""
