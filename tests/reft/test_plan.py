import pytest
import torch

from reft.learner.plan import plan


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("micro_batch", [1, 2, 100])
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_every_row_once_and_ranks_in_step(ranks: int, micro_batch: int, rows: int) -> None:
    minibatches = plan(torch.arange(rows).flip(0), 2, ranks, micro_batch)
    assert len(minibatches) == min(2, rows)
    covered: list[int] = []
    for minibatch in minibatches:
        assert len({len(share) for share in minibatch.shares}) == 1, "a rank with fewer passes would block the others"
        dealt = [int(row) for share in minibatch.shares for micro in share if micro.real for row in micro.rows]
        assert sorted(dealt) == sorted(minibatch.rows.tolist())
        assert all(0 < len(micro.rows) <= micro_batch for share in minibatch.shares for micro in share)
        covered += dealt
    assert sorted(covered) == list(range(rows))


def test_a_rank_without_rows_gets_stand_ins() -> None:
    (minibatch,) = plan(torch.arange(1), 1, 2, 4)
    assert [[micro.real for micro in share] for share in minibatch.shares] == [[True], [False]]
