"""What was sampled, token by token, as columns of a row of JSON."""

from rollout.types import Completion


def token_columns(completion: Completion) -> dict[str, list[int]]:
    """Ids, and log-probs in hundredths of a nat, which is as fine as anybody sees them."""
    hundredths = (100.0 * completion.logprobs.astype("float64")).round().clip(-1_000_000, 0)
    return {"token_ids": completion.tokens.tolist(), "logprobs": hundredths.astype("int64").tolist()}
