"""How well workers are used."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Usage:
    """What sampling took, in amounts that add up. All but the seconds follow from what was asked, whoever does it.

    A step is a forward pass in which each row that goes on gets one more token. What is computed of prompts is not counted, and
    the token that is drawn behind them is no step's.
    """

    steps: int = 0
    """Decoding steps."""
    tokens: int = 0
    """Tokens that were sampled."""
    rows: int = 0
    """Rows that went on, summed over the steps."""
    slots: int = 0
    """Rows there was room for, summed over the steps."""
    keys: int = 0
    """Of the keys that attention read those that were a row's own: of its prompt and of its tokens, up to its end."""
    keys_read: int = 0
    """Keys that attention read in one head of one layer, padding included, summed over the steps."""
    generating: float = 0.0
    """Seconds for which engines generated."""
    busy: float = 0.0
    """Seconds for which workers had a shard, one worker's behind the other's."""
    present: float = 0.0
    """Seconds for which they could have had one."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def shares(self) -> dict[str, float]:
        """Metrics that are the same for any number of workers, and whatever became of them; none where there was no step."""
        if not self.steps:
            return {}
        return {
            "rollout/steps": float(self.steps),
            "rollout/occupancy": self.rows / self.slots,
            "rollout/padding": 1 - self.keys / self.keys_read,
        }

    def rates(self) -> dict[str, float]:
        """Metrics that depend on time; none of what took none."""
        speed = {"rollout/tokens_per_second": self.tokens / self.generating} if self.generating else {}
        return speed | ({"time/waiting": 1 - self.busy / self.present} if self.present else {})
