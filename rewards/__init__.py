"""Text in, verdicts out: find the final answer in a chain, compare it with the known one, turn the verdict into a reward.

Nothing here knows of models, tokens or training. Imports go `rewards <- rollout <- reft`.
"""
