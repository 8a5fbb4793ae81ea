"""Files of others are data: nothing in a checkpoint, a model's folder or a data set is run."""

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from reft.errors import RunError
from reft.learner import zero
from reft.model import load_causal_lm

ROOT = Path(__file__).parent.parent


class Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.path),)


def test_a_trainers_files_are_read_as_data(tmp_path: Path) -> None:
    torch.save({"optimizer": Evil(tmp_path / "ran")}, tmp_path / "state.pt")
    with zero.only_data(), pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "state.pt", weights_only=False)  # as DeepSpeed asks for it
    assert not (tmp_path / "ran").exists()
    assert zero.FORCED not in os.environ
    torch.load(tmp_path / "state.pt", weights_only=False)
    assert (tmp_path / "ran").exists(), "so the file would have run code"


def test_what_deepspeed_saves_is_data_enough(tmp_path: Path) -> None:
    content = {"scaler": zero.LossScaler(1.0), "stage": zero.ZeroStageEnum(2), "where": zero.fragment_address(3, 4)}
    torch.save(content, tmp_path / "state.pt")
    with zero.only_data():
        found = torch.load(tmp_path / "state.pt", weights_only=False)
    assert (found["where"].numel, found["stage"]) == (3, 2)


def test_a_models_pickle_is_not_run(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text((tiny_model / "config.json").read_text())
    torch.save({"lm_head.weight": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights.only|unsupported|unpickl"):
        load_causal_lm(str(folder), torch.float32)
    assert not (tmp_path / "ran").exists()


def test_a_models_own_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    classes = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": classes}))
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(RunError, match="custom code"):
        load_causal_lm(str(folder), torch.float32)
    assert not (tmp_path / "ran").exists()
    assert "Do you wish" not in capsys.readouterr().out, "nor is anybody asked"


def test_no_module_reads_code_from_files() -> None:
    for package in ("reft", "rollout", "rewards"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert text.count("trust_remote_code") == text.count("trust_remote_code=False"), path
            assert not re.search(r"^(import|from) (pickle|dill|cloudpickle|marshal|shelve)", text, re.MULTILINE), path
            assert not re.search(r"(?<![.\w])eval\(", text), path
            if path.name != "program_child.py":  # which runs a model's programs, confined by the kernel
                assert not re.search(r"(?<![.\w])exec\(", text), path
