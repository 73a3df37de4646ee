"""Stock movements: what an ERP's export of them may hold, and what is shown of the unusual ones.

What belongs here: rules and pictures of movements. What does not: how they are scored (`optiflow.learners`).
"""
