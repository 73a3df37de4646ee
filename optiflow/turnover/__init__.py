"""What only `turnover` knows of items and prices, apart from its learner.

What belongs here: rules on dates of items, the price grid, the tables of its report. What does not: the chain's questions
(`optiflow.pipelines.turnover`) and the model (`optiflow.learners.turnover`).
"""
