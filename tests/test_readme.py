"""What the README says is so: its commands parse, its examples work, its tree and its glossary are complete."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from reft.cli import build_parser
from reft.compose import annotated_defaults, compose, find_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines()]
    found = [part.strip() for line in lines for part in re.split(r"&&|;", line)]
    assert len(found) > 8
    return [line for line in found if line.startswith("reft ")]


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood(line: str) -> None:
    options = build_parser().parse_args(shlex.split(line)[1:])
    if getattr(options, "config", None):
        compose(str(find_config(options.config)), options.overrides)


def test_rewards_that_shape_length_are_there() -> None:
    from rewards.terms import load_term

    (block,) = [block for block in blocks("yaml") if "use: overlong" in block]
    for name, reward in yaml.safe_load(block)["rewards"].items():
        term = load_term(name, reward["use"], reward.get("weight", 1.0), reward.get("kwargs", {}))
        (value,) = term.function(prompts=["p"], completions=["c"], completion_ids=[[1] * 600], verdict=["equal"])
        assert value == {"correct": 1.0, "overlong": -1.0, "repetition": -596 / 597, "cosine": 0.5}[name]


def test_other_names_of_settings_are_of_settings_that_exist() -> None:
    table = README.partition("| here | TRL | verl |")[2].partition("\n\n")[0]
    names = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}
    known = annotated_defaults()
    assert len(names) > 15
    assert not [name for name in names if f" {name.rpartition('.')[2]}: " not in known]


def test_the_reward_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rewards.terms import load_term

    (source,) = blocks("python")
    assert source.startswith("# brevity.py")
    (tmp_path / "brevity.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    settings = next(yaml.safe_load(block) for block in blocks("yaml") if block.startswith("rewards:"))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"task": {"use": "signed_sum"}, **settings}))
    config = compose(str(tmp_path / "mine.yaml")).config
    assert set(config.rewards) == {"correct", "brevity"}
    reward = config.rewards["brevity"]
    term = load_term("brevity", reward.use, reward.weight, reward.kwargs)
    texts = ["short", "word " * 31, "short"]
    assert term.function(completions=texts, verdict=["equal", "equal", "different"]) == [0.5, 0.0, 0.0]


def test_the_data_set_example_is_gsm8k(shared: Path, tmp_path: Path) -> None:
    settings = next(yaml.safe_load(block) for block in blocks("yaml") if block.startswith("task:"))
    for split in ("train", "test"):
        settings["task"][split] = str(shared / "data" / "gsm8k" / f"{split}.jsonl")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    task = compose(str(tmp_path / "mine.yaml")).config.task
    splits = task.splits()
    assert len(splits.test) == 1319
    (demonstration,) = task.demonstrations(splits.test[:1], seed=0)
    assert "<<" not in demonstration.chain
    assert task.read(splits.test[0], demonstration.chain) == splits.test[0].answer == "18"


def test_the_example_of_programs_is_reft_s(shared: Path, tmp_path: Path) -> None:
    from rewards.program import Program, Programs

    settings = next(yaml.safe_load(block) for block in blocks("yaml") if "style: program" in block)
    settings["task"]["train"] = str(shared / "data" / "mwp_reft" / settings["task"]["train"])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    config = compose(str(tmp_path / "mine.yaml")).config
    demonstrations = config.task.demonstrations(config.task.splits().train, seed=0)[:50]
    found = [config.task.read(demonstration.problem, demonstration.chain) for demonstration in demonstrations]
    programs = Programs(processes=config.programs.processes)
    results = programs.run([item for item in found if isinstance(item, Program)])
    programs.close()
    assert [float(result.answer or "nan") for result in results] == pytest.approx(
        [float(demonstration.problem.answer) for demonstration in demonstrations]
    )


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in README


def test_the_tree_is_complete() -> None:
    (tree,) = [block for block in blocks("text") if "reft/cli.py" in block]
    listed = {line.split()[0] for line in tree.splitlines() if line.strip()}
    patterns = ("reft/**/*.py", "rollout/**/*.py", "rewards/**/*.py", "configs/*.yaml", "launch/*", "tests/test_*.py")
    files = {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)}
    modules = {name for name in files if not name.endswith("__init__.py") or name.count("/") == 2}
    assert modules - listed == set(), "files that the tree does not show"
    assert {name for name in listed if not (ROOT / name).exists()} == set(), "shown and not there"


def glossary() -> set[str]:
    """Names in the first column of the README's tables."""
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
