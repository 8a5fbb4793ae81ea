import pytest

from reft.progress import Display


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr("reft.progress.time.monotonic", lambda: next(clock))
    with Display().bar("warm-up", 100, "step", start=10) as bar:
        bar.update(20)  # ten seconds: too early for a line
        bar.update(50, "loss 0.5")
        bar.update(100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["warm-up 50/100  2.0 step/s  0:25 left  loss 0.5", "warm-up 100/100  3.0 step/s  0:30"]


def test_slow_and_long_work_is_told_in_fitting_units(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 100.0])
    monkeypatch.setattr("reft.progress.time.monotonic", lambda: next(clock))
    with Display().bar("reinforce", 100, "step") as bar:
        bar.update(2)
    assert capsys.readouterr().err == "reinforce 2/100  50.0 s/step  1:21:40 left\n"
