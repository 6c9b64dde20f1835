"""What the demo found, as a table for people and as figures for programs (`demo.json`)."""

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heddle_api.cli.demo_measures import FactorMeasures, Latency


@dataclass(frozen=True)
class Served:
    """The version the demo fitted, as the control plane describes it.

    Attributes:
        adapter: its name.
        version: its number.
        status: of the job that made it, before a person approved.
        verdict: of the gate.
        factors: factor -> {passed, reasons}, as the gate says.
        card: the scorecard's document.
    """

    adapter: str
    version: int
    status: str
    verdict: str
    factors: dict[str, dict[str, Any]]
    card: dict[str, Any]

    @property
    def editable(self) -> list[str]:
        """Factors that passed, in the card's order."""
        return [name for name in self.on_card if self.factors[name]["passed"]]

    @property
    def on_card(self) -> dict[str, dict[str, Any]]:
        """Factor -> its part of the card."""
        return {factor["name"]: factor for factor in self.card["factors"]}


@dataclass(frozen=True)
class EditFindings:
    """What edits of held-out pictures showed.

    Attributes:
        factors: factor -> how well it reads and edits.
        images: held-out pictures.
        uncached: edits whose picture and result were both new to the edge.
        cached: the same edits again.
        cache_states: "first" and "again" -> what X-Cache said -> how often.
    """

    factors: dict[str, FactorMeasures]
    images: int
    uncached: Latency
    cached: Latency
    cache_states: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Findings:
    """Everything the demo found; `files` says where the pictures are."""

    served: Served
    edits: EditFindings
    seconds: dict[str, float]
    memory_bytes: int
    files: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON; shares in 0..1, times in the unit of their name."""
        on_card, held_out = self.served.on_card, self.edits.factors
        factors = {
            name: {
                **asdict(measured),
                "card": {key: on_card[name].get(key) for key in ("accuracy", "effect", "leakage", "detail", "gain")},
                "gate": self.served.factors[name],
            }
            for name, measured in held_out.items()
        }
        return {
            "adapter": f"{self.served.adapter}@{self.served.version}",
            "job_status": self.served.status,
            "verdict": self.served.verdict,
            "factors": factors,
            "factors_passed": len(self.served.editable),
            "held_out_images": self.edits.images,
            "read_accuracy_mean": statistics.fmean(each.read_accuracy for each in held_out.values()),
            "effect_mean": _mean([each.effect for each in held_out.values()]),
            "card_effect_mean": _mean([on_card[name].get("effect") for name in self.served.editable]),
            "edit_milliseconds": {"uncached": asdict(self.edits.uncached), "cached": asdict(self.edits.cached)},
            "cache_states": self.edits.cache_states,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "memory_bytes": self.memory_bytes,
            "files": self.files,
        }


def write_figures(path: Path, findings: Findings) -> None:
    """Write `demo.json`."""
    path.write_text(json.dumps(findings.document(), indent=2) + "\n")


def print_findings(console: Console, findings: Findings) -> None:
    """Print the table and the lines below it."""
    console.print()
    console.print(_table(findings))
    for name, gate in findings.served.factors.items():
        for reason in gate["reasons"]:
            console.print(f"[red]{name}[/]: {escape(reason)}", highlight=False)
    console.print(
        f"Read, effect and leakage: measured now, on {findings.edits.images} held-out pictures through the public API "
        "(in brackets: the scorecard, on labelled images its folds did not see). Leakage is what an edit changes "
        "beyond redrawing.",
        style="dim",
    )
    console.print()
    for name, value in _lines(findings):
        console.print(f"  {name:<34} {value}", highlight=False)
    console.print()


def _table(findings: Findings) -> Table:
    table = Table(title=f"{findings.served.adapter}, version {findings.served.version}", title_justify="left")
    table.add_column("factor", no_wrap=True)
    for title in ("read accuracy", "effect", "leakage"):
        table.add_column(title, justify="right")
    table.add_column("most into")
    table.add_column("gate", no_wrap=True)
    on_card = findings.served.on_card
    for name, measured in findings.edits.factors.items():
        card, gate = on_card[name], findings.served.factors[name]
        table.add_row(
            name,
            _pair(measured.read_accuracy, card.get("accuracy")),
            _pair(measured.effect, card.get("effect")),
            _pair(measured.leakage, card.get("leakage")),
            measured.leakage_into or "",
            "[green]passed[/]" if gate["passed"] else "[red]refused[/]",
        )
    return table


def _lines(findings: Findings) -> list[tuple[str, str]]:
    def latency(found: Latency) -> str:
        waits = f"p50 {found.p50:.1f} ms, p95 {found.p95:.1f} ms"
        return f"{waits} (at the edge p50 {found.server_p50:.1f} ms), {found.edits} edits"

    return [
        ("from queueing the fit to its card", f"{findings.seconds['fit_to_card']:.1f} s"),
        ("from approval to being served", f"{findings.seconds['approval_to_served']:.2f} s"),
        ("an uncached edit", latency(findings.edits.uncached)),
        ("the same edit again, cached", latency(findings.edits.cached)),
        ("memory of the whole stack", f"{findings.memory_bytes / 1024**2:,.0f} MB"),
        ("the whole demo", f"{findings.seconds['total']:.1f} s"),
        *((name.replace("_", " "), path) for name, path in findings.files.items()),
    ]


def _pair(measured: float | None, on_card: float | None) -> str:
    return f"{_share(measured)} [dim]({_share(on_card)})[/]"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
