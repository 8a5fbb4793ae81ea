"""Problems in, scored samples out: engines that sample chains, workers that score them, pools of workers.

Knows nothing of losses or optimizers. Imports go `rewards <- rollout <- reft`.
"""
