import pytest
import torch

from reft.learner.plan import plan


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("micro_batch", [1, 2, 100])
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_every_row_once_and_ranks_in_step(ranks: int, micro_batch: int, rows: int) -> None:
    minibatches = plan(torch.arange(rows).flip(0), torch.arange(rows) % 3, 2, ranks, micro_batch)
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
    (minibatch,) = plan(torch.arange(1), torch.tensor([5]), 1, 2, 4)
    assert [[micro.real for micro in share] for share in minibatch.shares] == [[True], [False]]


def test_rows_of_a_forward_pass_are_of_like_length() -> None:
    """By hand: the order says which rows are learnt from together, lengths who shares a pass; ties stay in order."""
    order, lengths = torch.tensor([6, 1, 4, 3, 0, 2, 5, 7]), torch.tensor([9, 2, 4, 8, 5, 4, 7, 1])
    first, second = plan(order, lengths, 2, ranks=1, micro_batch=3)
    assert [[micro.rows.tolist() for micro in part.shares[0]] for part in (first, second)] == [
        [[3, 6, 4], [1]],
        [[0, 2, 5], [7]],
    ]
    (both,) = plan(order, lengths, 1, ranks=2, micro_batch=2)
    assert [[micro.rows.tolist() for micro in share] for share in both.shares] == [[[0, 6], [2, 1]], [[3, 4], [5, 7]]]
