"""Run directories as a run would leave them, made up."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reft.compose import compose
from reft.statistics import proportion
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer

HOSTILE = "</script><script>window.struck=1</script><img src=x onerror='window.struck=1'>\u2028<!--<script>&amp;`${1}"


def write_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def chain_row(
    number: int, step: int, right: bool, problem: int, tokenizer: Any = None, hostile: bool = False
) -> dict[str, Any]:
    """A chain as samples files hold it."""
    draw = random.Random(number)
    tries = [
        f"b {draw.choice('+-')} 2 {draw.randint(1, 9)} c - {draw.randint(1, 9)} {draw.randint(-5, 9)} x"
        for _ in range(1 + number % 3)
    ]
    chain = " ".join([*tries, "b + 2 6 c + 3 9 ok"])
    prompt = f"a {problem % 9 + 1} b {problem // 9 % 9 + 1} c {problem // 81 % 9 + 1} > {problem} ?"
    found: dict[str, Any] = {
        "problem": prompt, "prompt": prompt, "prefix": "", "chain": chain, "answer": "9", "extracted": "4 + 2 + 3",
        "verdict": "equal" if right else ("different", "no_answer")[number % 2], "why": "equal by value" if right else "not",
        "reward": float(right), "rewards": {"correct": float(right)}, "failures": {}, "tokens": len(chain.split()) + 1,
        "finish": "stop", "policy_version": step,
    }  # fmt: skip
    if hostile:
        found |= {name: HOSTILE for name in ("problem", "prompt", "chain", "extracted", "answer", "why", "finish")}
        found |= {"rewards": {HOSTILE: 1.0}, "failures": {HOSTILE: HOSTILE}}
    if tokenizer is not None and not hostile:
        ids = [*tokenizer.encode(chain, add_special_tokens=False), tokenizer.eos_token_id]
        found |= {
            "token_ids": ids,
            "logprobs": [-draw.randint(0, 300) if draw.random() < 0.3 else -draw.randint(0, 8) for _ in ids],
        }
    return found


def write_run(path: Path, steps: int = 20, samples: int = 10, hostile: bool = False) -> Path:
    """A run whose greedy accuracy on dev grows from .2 to .9, with studies of two checkpoints, and chains of each step."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(compose("quickstart", [f"train.steps={steps}"]).yaml(), encoding="utf-8")
    tokenizer = word_tokenizer(SignedSum().words(), 80)
    tokenizer.save_pretrained(path / "checkpoints" / "warmup")
    rows: list[dict[str, Any]] = [{"phase": "warmup", "step": step, "warmup/loss": 3.0 / step} for step in range(1, 5)]
    for step in range(1, steps + 1):
        share = 0.2 + 0.7 * step / steps
        row = {"phase": "reinforce", "step": step, "reward/mean": share, "answer/correct": share, "samples/tokens": 5000.0,
               "chain/tokens_mean": 15 + 10 * step / steps, "compute/flops": 1e12 + step * 1e10,
               "chain/tokens_right": 20.0 + step, "chain/right": 80.0}  # fmt: skip
        row |= {"chain/tokens_wrong": 12.0, "chain/wrong": 20.0} if step > 2 else {"chain/wrong": 0.0}
        rows.append(row | ({"dev/greedy": share, "dev/sampled": share - 0.1} if step % 5 == 0 else {}))
        chains = [
            chain_row(
                step * 1000 + number, step, number < share * samples, number * steps + step, tokenizer, hostile and number == 0
            )
            for number in range(samples)
        ]
        write_lines(path / "samples" / f"step_{step:06d}.jsonl", chains)
    write_lines(path / "metrics.jsonl", rows)
    last = f"step_{steps:06d}"
    reports = {"readiness": (0.2, 14.0), "warmup": (0.25, 15.0), "reinforced": (0.9, 24.0)}
    for name, (accuracy, tokens) in reports.items():
        modes = {
            mode: {
                "accuracy": asdict(proportion(accuracy * 200, 200)),
                "tokens_per_chain": tokens,
                "flops_per_query": tokens * 1e6,
            }
            for mode in ("greedy", "sampled")
        }
        write_json(path / "eval" / f"{name}.json", modes)
        both = [chain_row(number, 0, number < accuracy * 200, 5000 + number) for number in range(200)]
        write_lines(path / "eval" / f"{name}.jsonl", [*both, *both])
    for checkpoint, values in {"warmup": (0.25, 0.3, 0.4, 0.5), last: (0.3, 0.6, 0.9, 0.91)}.items():
        curves = []
        for strategy, better in {"cap": 0.0, "wait": 0.05, "chain_oracle": 0.08}.items():
            points = [
                {"budget": budget, "tokens_per_query": 9.0 * budget, "flops_per_query": 9e6 * budget,
                 "accuracy": asdict(proportion((value + better) * 200, 200))}
                for budget, value in zip((1, 2, 4, 8), values, strict=True)
            ]  # fmt: skip
            curves.append({"strategy": strategy, "points": points})
        write_json(
            path / "eval" / f"chains-{checkpoint}-test.json",
            {"checkpoint": checkpoint, "split": "test", "curves": curves} | study_of(checkpoint),
        )
    write_json(path / "state.json", {"best_step": steps, "flops": {"warmup": 1e12, "reinforce": steps * 1e10}})
    stages = {
        name: {mode: asdict(proportion(reports[name][0] * 200, 200)) for mode in ("greedy", "sampled")}
        | {"tokens_per_chain": 20.0}
        for name in ("warmup", "reinforced")
    }
    totals = {"best_step": steps, "steps": steps, "tokens_sampled": 5000 * steps, "training_flops": 1e12 + steps * 1e10}
    write_json(
        path / "summary.json", {"name": HOSTILE if hostile else path.name, "seconds": {"total": 215.0}, **totals, **stages}
    )
    return path


def study_of(checkpoint: str) -> dict[str, Any]:
    """What a study finds beside curves: of the warm-up, and of what came of it, which gains on it."""
    trained = checkpoint != "warmup"

    def share(value: float, n: int = 200) -> dict[str, Any]:
        return asdict(proportion(value * n, n))

    def measure(value: float, n: int = 200, half: float = 0.0625) -> dict[str, Any]:
        return {"value": value, "n": n, "low": value - half, "high": value + half}

    content: dict[str, Any] = {
        "natural": {
            "tokens_per_query": 24.0 if trained else 15.0,
            "flops_per_query": 2e7,
            "accuracy": share(0.25 + 0.65 * trained),
        },
        "ablations": {
            "chains": 200,
            "with_steps": 100,
            "none": share(0.9, 100),
            "cut": share(0.2, 60),
            "follow": share(0.95),
            "against": {"cut": {"none": share(0.8, 60), "difference": measure(-0.6, 60)}},
        },
        "difficulty": {
            "bins": [
                {"from": 1.0, "to": 1.0, "tokens": share(0.5), "accuracy": share(0.9)},
                {"from": 2.0, "to": 4.0, "tokens": share(0.75), "accuracy": share(0.8)},
            ],
            "slope": measure(0.125),
            "spearman": measure(0.25),
            "spearman_most": 0.875,
        },
        "quality": {"repeated_tries": share(0.05), "verdict_error": None, "trace_error": share(0.1)},
        "sequential": [{"budget": 2, "gain": measure(-0.0625)}],
        "equal_tokens": [
            {"budget": budget, "against": name, "tokens_per_query": 24.0, "their_tokens": 20.0, "gain": measure(value)}
            for budget, name, value in ((None, "one_try_vote", 0.1), (None, "one_try_oracle", 0.05), (4, "chain_vote", 0.15))
        ],
        "scaling": {"cap": None, "wait": None if trained else {"budget": 8, "gain": share(0.5)}},
    }
    parts: dict[str, Any] = {
        "before": "runs/x/checkpoints/warmup",
        "total": share(0.65),
        "quality": share(0.05),
        "persistence": share(0.6),
    }
    parts["easiest"] = {"from": 1.0, "to": 1.0, "times": measure(1.75, 17, 0.25)}
    parts["equal_tokens"] = content["equal_tokens"][:1]
    return content | ({"gain": parts} if trained else {})


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
