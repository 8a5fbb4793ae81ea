"""The command line. Importing it is cheap; each command imports what it needs."""

import argparse
import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from reft import __version__
from reft.interrupt import Terminated, termination_named
from rollout.search.names import STRATEGIES

COMMANDS = {
    "run": "warm up, reinforce and evaluate; goes on where it stopped",
    "warmup": "only imitate the demonstrations, and see whether the policy is ready",
    "train": "only reinforce, from the run's warm-up or from model.path",
    "eval": "evaluate a checkpoint, greedy, sampled or by a strategy, on its run's task or benchmarks; or score saved outputs",
    "compare": "methods side by side from one warm-up, each with the same budget",
    "chains": "whether a checkpoint's longer reasoning is useful: length, budgets, altered chains",
    "sample": "watch a checkpoint think about problems",
    "report": "runs as one HTML page: accuracy against compute in training and at test time, and every chain",
    "grade": "compare answers with known ones, line by line of a file",
    "bench": "how fast chains are sampled, beside transformers.generate and what the machine allows",
    "check": "validate a config and print the arithmetic of the run; starts nothing",
    "doctor": "versions, devices, and what each missing extra would give",
}

RESUMING = ("run", "warmup", "train", "compare", "chains")
"""Commands that go on where they stopped, as `eval --on`, `eval --strategy` and `report --study` do."""

MODES = """strict: a box, a tag, "the answer is" and the like, as training rewards them and `rewards.grade` defaults to; lenient
(default): the last formula or number too"""


STUDY = (
    "first sample what the panel of test-time compute draws: reft chains, of warm-up and best checkpoint, where it is missing"
)
METHODS = "separated by commas: sft, star, rft, rest-em, offline-st, online-st, reft; reft is the config's own reinforcement"
BUDGET = "what each may take of what the config's reinforcement takes: chains, or about as many operations or minutes"

STRATEGY = "; ".join(f"{name}: {text}" for name, text in STRATEGIES.items())
BUDGETS = "of the strategy: chains, attempts or rounds; of ask, what is asked for; of cap, tokens where chains make no attempts"
TASK = "what it is asked, and what judges its answers, where it lies in no run, or another than its run's"

EVAL = (
    ("on", "NAME[,NAME]", "benchmarks: gsm8k, svamp, asdiv, math500, aime24, aime25, amc23, minerva, olympiadbench, or tasks"),
    ("data", "PATH", "the benchmark's file, or a folder in which it is found by its name (from the hub)"),
    ("against", "CHECKPOINT", "another one on the same problems, with a paired test"),
    ("prompt", "TEXT", "template of the prompt, with {question}; \\n is a new line (the run's, where its task has one)"),
    ("extractor", "STYLE", "how answers are read: strict, lenient, boxed, hashes, ... (the run's, or lenient)"),
    ("out", "FOLDER", "where reports go (the run's eval folder, or ./eval)"),
    ("budget", "B[,B]", f"{BUDGETS} (1,2,4,8; of ask, those that the task shows)"),
)
ON = ("data", "against", "prompt", "extractor", "out")
"""Options of `reft eval` that need `--on`."""
WATCHING = ("checkpoint", "n", "samples", "prompt", "problem", "task", "config", "strategy", "budget", "seed")
"""Options of `reft sample`."""
UNSAVED = ("on", "data", "against", "prompt", "split", "vote", "rerank", "strategy", "budget")
"""Those that mean nothing where outputs have been saved."""
FROM_OUTPUTS = "score saved outputs of models instead; several times for several samples of the same problems"
LOG = "draw a published log of a model's accuracy at token limits, too: a JSON list of token_limit, accuracy, avg_tokens_used"

BENCH = (
    ("layers", 4, "blocks of the model, a Llama of fresh weights"),
    ("width", 256, "its hidden size"),
    ("heads", 8, "its attention heads"),
    ("prompts", 32, "prompts"),
    ("prompt-tokens", 24, "tokens of each"),
    ("samples", 16, "chains a prompt"),
    ("mean", 60, "mean of chains' lengths, which are geometric, as a policy's are about"),
    ("longest", 256, "tokens of the longest chain"),
    ("vocabulary", 960, "tokens that there are"),
    ("rows", 512, "chains that are decoded at once, as rollout.max_rows"),
    ("runs", 5, "pairs of runs, of which the median is told"),
    ("threads", 0, "threads of torch, 0 for its own choice"),
)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reft",
        description="Language models that reason better by learning from their own chains of thought.",
        epilog="start with: reft run quickstart",
    )
    parser.add_argument("--version", action="version", version=f"reft {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        if name in ("run", "warmup", "train", "compare", "check"):
            optional = "?" if name == "check" else None
            command.add_argument("config", nargs=optional, help="a YAML file, or the name of a shipped config")
            command.add_argument(
                "overrides", nargs="*", default=[], metavar="key=value", help="settings to change, e.g. train.steps=20"
            )
        if name == "compare":
            command.add_argument("--methods", default="sft,star,rft,offline-st,online-st,reft", help=METHODS)
            command.add_argument("--budget", choices=("samples", "flops", "minutes"), default="samples", help=BUDGET)
        if name == "check":
            command.add_argument("--defaults", action="store_true", help="print every setting with its meaning and default")
        _add_tool_options(name, command)
    return parser


def _add_tool_options(name: str, command: argparse.ArgumentParser) -> None:
    """The options of a command that works on checkpoints, runs or files, and makes no run."""
    match name:
        case "eval":
            command.add_argument("checkpoint", nargs="?", help="a folder in RUN/checkpoints; with --on, any model's")
            command.add_argument(
                "overrides", nargs="*", default=[], metavar="key=value", help="settings to change, e.g. evaluate.samples=8"
            )
            command.add_argument("--split", choices=("dev", "test"), help="problems of a task to evaluate on (test)")
            command.add_argument("--strategy", choices=list(STRATEGIES), help=f"a way to spend tokens on a problem. {STRATEGY}")
            command.add_argument("--vote", type=int, metavar="K", help="sample K chains a problem, and let their answers vote")
            command.add_argument(
                "--rerank", action="store_true", help="also let a classifier pick one of the K (train it first)"
            )
            for option, metavar, text in EVAL:
                command.add_argument(f"--{option}", metavar=metavar, help=text)
            command.add_argument("--from-outputs", action="append", metavar="FILE", help=FROM_OUTPUTS)
        case "report":
            command.add_argument("runs", nargs="*", metavar="RUN", help="run directories")
            command.add_argument("--out", metavar="FILE", help="where to write it (report.html in the first run)")
            command.add_argument("--study", action="store_true", help=STUDY)
            command.add_argument("--log", action="append", default=[], metavar="FILE", help=LOG)
            command.add_argument("--problems", type=int, default=30, help="problems behind a log's points (30, as AIME has)")
        case "chains":
            command.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="a folder in RUN/checkpoints, or two")
            command.add_argument("--split", choices=("dev", "test"), default="test", help="problems to study it on")
            command.add_argument("-n", type=int, default=4, help="chains a problem, which vote, too (4)")
            command.add_argument(
                "--budget", type=int, default=8, help="tries at most, cut or called for; without tries, ends (8)"
            )
            command.add_argument("--limit", type=int, help="problems at most; without it, as many as evaluation takes")
        case "grade":
            command.add_argument("pairs", help="a JSONL file of id, gold and prediction; - for standard input")
            command.add_argument("--out", help="write a verdict a line to this file; without it only counts are shown")
            command.add_argument("--mode", choices=("strict", "lenient"), default="lenient", help=MODES)
            command.add_argument("--workers", type=int, default=1, help="processes that grade")
        case "bench":
            command.add_argument("what", choices=("sampling",), help="what is measured")
            for option, default, text in BENCH:
                command.add_argument(f"--{option}", type=int, default=default, help=f"{text} ({default})")
            command.add_argument("--fixed", action="store_true", help="let all chains be as long as the longest")
            command.add_argument("--checkpoint", metavar="PATH", help="sample from this run's, for its test problems")
            command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what samples (cpu)")
            command.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of weights (float32)")
            command.add_argument("--json", metavar="FILE", help="write what was measured to this file, too")
        case "sample":
            command.add_argument("checkpoint", help="a folder in RUN/checkpoints, or any that transformers can load")
            command.add_argument("-n", "--n", type=int, help="problems to show (3)")
            command.add_argument("--samples", type=int, help="sampled chains of each, besides the greedy one (2)")
            command.add_argument("--prompt", help="this one instead of test problems; judged if it is a problem of the task")
            command.add_argument("--problem", metavar="ID", help="this one: its id, or its number in the test split")
            command.add_argument("--task", metavar="NAME", help=f"running_total, signed_sum or word_problems: {TASK}")
            command.add_argument("--config", metavar="CONFIG", help="the same by a YAML file, or a shipped config's name")
            command.add_argument("--strategy", choices=list(STRATEGIES), help=STRATEGY)
            command.add_argument("--budget", type=int, help=f"{BUDGETS} (4)")
            command.add_argument("--seed", type=int, default=0, help="of the choice of problems and of sampling")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0 done, or saved at SIGTERM, 2 a user's error, 130 interrupted."""
    options = _parse(arguments)
    sections = options.command == "eval" and (options.on is not None or options.strategy is not None)
    resumes = options.command in RESUMING or sections or bool(getattr(options, "study", False))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.path.append(os.getcwd())  # a reward or task of one's own is found where the command is typed, but hides nothing
    try:
        with nullcontext() if options.debug else _threads_in_a_line(), termination_named() if resumes else nullcontext():
            return _dispatch(options)
    except Terminated:
        print("\nreft: SIGTERM: stopped and saved; the same command goes on", file=sys.stderr)
        atexit.register(signal.signal, signal.SIGTERM, signal.SIG_IGN)  # while the interpreter ends, too
        return 0  # to a scheduler, anything else is a failure
    except KeyboardInterrupt:
        print(f"\nreft: stopped{'; the same command goes on from what is saved' * resumes}", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        return _explain(error, resumes)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options. Settings may stand anywhere among them; argparse alone wants them in one place."""
    parser = build_parser()
    options, left = parser.parse_known_args(arguments)
    settings = [word for word in left if "=" in word and not word.startswith("-")]
    if unknown := [word for word in left if word not in settings or "overrides" not in options]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if settings:
        options.overrides = [*options.overrides, *settings]
    return options


@contextmanager
def _threads_in_a_line() -> Iterator[None]:
    """While it lasts, an error that ends a thread is a line, not a traceback: a library that has threads raises it again where
    it is called next."""

    def tell(error: threading.ExceptHookArgs) -> None:
        print(f"reft: in thread {getattr(error.thread, 'name', '?')}: {error.exc_value!r}", file=sys.stderr)

    before, threading.excepthook = threading.excepthook, tell
    try:
        yield
    finally:
        threading.excepthook = before


def _dispatch(options: argparse.Namespace) -> int:
    from reft import commands  # heavier than --help may be

    match options.command:
        case "run" | "warmup" | "train":
            return commands.run(options.command, options.config, options.overrides)
        case "check":
            return commands.check(options.config, options.overrides, options.defaults)
        case "compare":
            return commands.compare(options.config, options.overrides, options.methods.split(","), options.budget)
        case "eval":
            return _evaluate(options)
        case "chains":
            checkpoints = [Path(name) for name in options.checkpoints]
            return commands.chains(checkpoints, options.split, options.n, options.budget, options.limit)
        case "sample":
            from reft.watching import Watching

            return commands.sample(Watching(**{name: getattr(options, name) for name in WATCHING}))
        case "bench":
            names = [option.replace("-", "_") for option, *_ in BENCH]
            numbers = {name: getattr(options, name) for name in names}
            return commands.bench(numbers, options.fixed, options.checkpoint, options.device, options.dtype, options.json)
        case "report":
            logs = [Path(file) for file in options.log]
            out = None if options.out is None else Path(options.out)
            return commands.report([Path(run) for run in options.runs], logs, options.problems, out, options.study)
        case "grade":
            return commands.grade(options.pairs, options.out, options.mode, options.workers)
        case _:
            return commands.doctor()


def _evaluate(options: argparse.Namespace) -> int:
    """`reft eval` in its four forms: on a run's task, on benchmarks, by a strategy, and of saved outputs."""
    from reft import commands
    from reft.errors import ConfigError

    given = [name for name in UNSAVED if getattr(options, name) not in (None, False)]
    if options.from_outputs:
        settings = [*([options.checkpoint] if options.checkpoint else []), *options.overrides]
        if wrong := [*(word for word in settings if "=" not in word), *(f"--{name}" for name in given)]:
            raise ConfigError(f"--from-outputs scores what is saved, so {wrong[0]} has no place beside it; leave it out")
        return commands.score_outputs(options.from_outputs, settings, options.extractor, options.out)
    if options.checkpoint is None:
        raise ConfigError("eval needs a checkpoint, such as RUN/checkpoints/step_000050, or --from-outputs FILE")
    how = {name: getattr(options, name) for name in ("data", "prompt", "extractor", "out")}
    if options.on is None:
        placed = (name for name in ON if getattr(options, name) is not None and (name != "out" or options.strategy is None))
        if (name := next(placed, None)) is not None:
            raise ConfigError(f"--{name} needs --on NAME beside it: benchmarks such as gsm8k, or tasks such as the run's own")
    elif options.vote is not None or options.rerank:
        raise ConfigError("--vote and --rerank are not of benchmarks; maj@k there is of evaluate.samples=K")
    if options.budget is not None and options.strategy is None:
        raise ConfigError("--budget is of a strategy; add --strategy NAME, such as --strategy vote")
    if how["prompt"] is not None:
        how["prompt"] = how["prompt"].replace("\\n", "\n")
    if options.strategy is not None:
        if wrong := [name for name in ("against", "vote", "rerank") if name in given]:
            raise ConfigError(f"--{wrong[0]} is not of strategies; leave it out, or --strategy")
        plan = (options.strategy, options.budget)
        return commands.search(options.checkpoint, options.overrides, options.on, options.split, *plan, how)
    if options.on is None:
        split = options.split or "test"
        return commands.evaluate(Path(options.checkpoint), options.overrides, split, options.vote, options.rerank)
    return commands.examine(options.checkpoint, options.overrides, options.on, options.split, options.against, how)


def _explain(error: Exception, resumes: bool) -> int:
    """One line for what a user can mend; one line and where to look for what is our fault."""
    from reft.errors import UserError
    from reft.files import FULL
    from rewards.terms import RewardError
    from rollout.engine import WeightsError
    from rollout.pool import RolloutError

    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or 'a file'}: {error.strerror}"
        if error.errno in FULL:
            text += f"; free some space, then the same command {'goes on' if resumes else 'starts anew'}"
    elif not isinstance(error, UserError | RewardError | RolloutError | WeightsError):
        text = f"{type(error).__name__}: {text}; run again with --debug for the traceback"
    print(f"reft: {text}", file=sys.stderr)
    return 2
