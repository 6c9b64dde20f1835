"""`heddle score`: how disentangled are these codes? All scores of an .npz file, as a table or as JSON."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from heddle_api.cli.connection import AsJson, err, fail, out
from heddle_api.cli.steps import Steps

if TYPE_CHECKING:  # scores need scikit-learn, which a client has not installed
    from heddle_adapters.scores.panel import Line

KINDS = ("binary", "categorical", "ordinal", "continuous", "periodic")
ScoreFile = Annotated[
    Path, typer.Argument(help="NumPy .npz with `codes` [N, L], `factors` [N, F], and perhaps `kinds` [F].")
]
CodesName = Annotated[str, typer.Option("--codes", help="Name of the array of codes in the file.")]
FactorsName = Annotated[str, typer.Option("--factors", help="Name of the array of factors in the file.")]
KindsText = Annotated[
    str | None,
    typer.Option(
        "--kinds",
        help="Kind of each factor, by commas: binary, categorical, ordinal, continuous, periodic. Without it the "
        "file's `kinds`, or all categorical.",
    ),
]
Boosted = Annotated[bool, typer.Option("--boosted", help="Gradient-boosted DCI too: minutes at 10,000 rows.")]


def score(
    file: ScoreFile,
    codes: CodesName = "codes",
    factors: FactorsName = "factors",
    kinds: KindsText = None,
    boosted: Boosted = False,
    as_json: AsJson = False,
) -> None:
    """Score codes against factors: MIG, DCI, SAP, FactorVAE, beta-VAE, modularity, IRS, InfoMEC, probes, LPS.

    Example: `heddle score codes.npz --kinds categorical,ordinal,continuous`
    """
    try:
        from heddle_adapters.scores.panel import every_score
    except ModuleNotFoundError as error:
        fail(f"the package {error.name} is missing; install what scoring needs: pip install 'heddle[workers]'")
    codes_NL, factors_NF, known = _arrays(file, codes, factors, kinds)
    lines = []
    with Steps(err) as steps, steps.step(f"Scoring {len(codes_NL):,} rows") as step:

        def follow(name: str, done: int, total: int) -> None:
            step.say(f"{name}, {done + 1} of {total}")
            step.advance(done, total)

        for line in every_score(codes_NL, factors_NF, known, boosted=boosted, on_start=follow):
            lines.append(line)
        step.say(f"{len(lines)} scores")
    if as_json:
        out.print_json(data={"file": str(file), "codes": codes, "scores": [line.as_json() for line in lines]})
    else:
        _print(lines, codes_NL, factors_NF)
    if all(line.refusal for line in lines):
        raise typer.Exit(1)


def _arrays(
    file: Path, codes: str, factors: str, kinds: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str] | None]:
    try:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            fail(f"{file} holds a single array; save several by name with numpy.savez")
        with archive:
            known = archive["kinds"].tolist() if kinds is None and "kinds" in archive.files else None
            tables = [_table(archive, name, option) for name, option in ((codes, "codes"), (factors, "factors"))]
    except FileNotFoundError:
        fail(f"there is no file {file}")
    except zipfile.BadZipFile:
        fail(f"{file} is damaged: it begins like an .npz file and does not end like one; write it again")
    except (ValueError, EOFError):  # NumPy's own sentence advises to load it unsafely
        fail(f"{file} is not an .npz file of plain arrays; write one with numpy.savez(file, codes=..., factors=...)")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    if len(tables[0]) != len(tables[1]):
        fail(f"{codes} has {len(tables[0])} rows, {factors} {len(tables[1])}; they must be equal")
    if kinds is not None:
        known = [kind.strip() for kind in kinds.split(",")]
    if known is not None and (not isinstance(known, list) or len(known) != tables[1].shape[1]):
        given = len(known) if isinstance(known, list) else 1
        fail(f"there are {given} kinds and {tables[1].shape[1]} factors; they must be equal")
    unknown = [str(kind) for kind in known or () if kind not in KINDS]
    if unknown:
        fail(f"unknown kind {unknown[0]!r}; known are: {', '.join(KINDS)}")
    return tables[0], tables[1], known


def _table(archive: Any, name: str, option: str) -> NDArray[np.float64]:
    if name not in archive.files:
        held = ", ".join(archive.files) or "nothing"
        fail(f"there is no array {name!r}; the file holds: {held}. Name another with --{option}")
    array = archive[name]
    if array.dtype.kind in "US":
        fail(
            f"{name} must be a table of numbers and holds text; number its levels: "
            "numpy.unique(column, return_inverse=True)[1]"
        )
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        fail(f"{name} must be a table of numbers, rows x {option}; it has shape {array.shape} and type {array.dtype}")
    result: NDArray[np.float64] = array.astype(np.float64)
    if 0 in result.shape:
        fail(f"{name} has {result.shape[0]} rows and {result.shape[1]} columns; there is nothing to score")
    faults = int(np.count_nonzero(~np.isfinite(result).all(axis=1)))
    if faults:
        fail(f"{faults} of {len(result)} rows of {name} hold NaN or infinite values; remove those rows from all arrays")
    return result


def _print(lines: "list[Line]", codes_NL: NDArray[np.float64], factors_NF: NDArray[np.float64]) -> None:
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("score", "value", "details, and how it was measured", "seconds"):
        grid.add_column(
            column, justify="right" if column in ("value", "seconds") else "left", no_wrap=column == "score"
        )
    told: set[str] = set()
    for line in lines:
        value = "[yellow]-[/]" if line.score is None else f"{line.score.value:.4f}"
        details = _details(line)
        # the reason that hits one score hits most of them
        shown = "not defined, as above" if line.score is None and details in told else details
        told.add(details)
        words = [escape(shown)] * bool(shown) + [f"[dim]{escape(_protocol(line))}[/]"] * bool(line.score)
        grid.add_row(line.name, value, "\n".join(words), f"{line.seconds:.2f}")
    out.print(f"{codes_NL.shape[0]:,} rows, {codes_NL.shape[1]} codes, {factors_NF.shape[1]} factors")
    out.print(grid)


def _details(line: "Line") -> str:
    """What must stand beside the number; modularity never stands without explicitness."""
    if line.score is None:
        return f"not defined: {line.refusal.message}" if line.refusal else ""
    told = [str(line.score)] if type(line.score).__str__ is not object.__str__ else []
    if line.interval is not None:
        told.append(f"95 % {line.interval.low:.4f} to {line.interval.high:.4f}")
    document = line.score.as_json()
    if "ceiling" in document:
        told.append(f"ceiling {np.mean(document['ceiling']):.4f}")
    if not told:
        told = [f"{name} {document[name]:.4f}" for name in ("chance", "null", "share") if name in document]
    return ", ".join(told)


def _protocol(line: "Line") -> str:
    if line.score is None:
        return ""
    shown = ("estimator", "model", "bins", "k", "rows", "threshold", "folds", "batch")
    return ", ".join(f"{name} {line.score.protocol[name]}" for name in shown if name in line.score.protocol)
