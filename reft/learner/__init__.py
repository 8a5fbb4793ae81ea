"""The learner: six verbs over any number of ranks.

`driver.Learner` cuts a batch by `plan`, hands the pieces to `rank.Rank`s through a gang (Ray actors, or one object in this
process), and puts the results together. A rank steps its optimizer by `optimization` (plain torch, one process: the
definition of correct) or by `zero` (DeepSpeed, any number of ranks).
"""
