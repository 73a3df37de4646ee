"""The endpoints resource: a retailer's model, served for single questions.

What belongs here: the contract, and one module per place that serves. What does not: the answers
(the `serving` of a pipeline), and which model is to be served (`assets.turnover`).
"""
