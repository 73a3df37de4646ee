"""Stock movements: what an ERP's export of them may hold, and what is shown of the unusual ones.

What belongs here: the chain's answers, rules and pictures of movements, the sample. What does not: how they are scored
(`optiflow.learners.stock_movements`).
"""
