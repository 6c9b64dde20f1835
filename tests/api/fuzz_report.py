"""What a run of Schemathesis says while it goes on: each operation with its cases, its time, and what was answered."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One operation in one phase.

    Attributes:
        operation: method and path.
        cases: requests that were sent.
        seconds: how long that took, generating and checking included.
        answers: how many answers had which status.
    """

    operation: str
    cases: int
    seconds: float
    answers: Counter[int]

    def __str__(self) -> str:
        each = 1000 * self.seconds / max(1, self.cases)
        answers = " ".join(f"{status}:{count}" for status, count in sorted(self.answers.items()))
        return f"{self.operation:75} {self.cases:5} cases {self.seconds:7.1f} s {each:7.1f} ms each   {answers}"


class Following:
    """Reads the report that a running Schemathesis writes, line by line as they are finished."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._read = 0

    def news(self) -> Iterator[Asked]:
        """Yield the operations that were finished since the last call."""
        if not self._report.exists():
            return
        with self._report.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):  # still being written
                    return
                self._read += len(line)
                if line.startswith(b'{"ScenarioFinished"'):
                    yield _asked(json.loads(line)["ScenarioFinished"])


def _asked(finished: dict[str, Any]) -> Asked:
    recorder = finished["recorder"]
    answers = [found.get("response", {}).get("status_code", 0) for found in recorder.get("interactions", {}).values()]
    return Asked(recorder["label"], len(answers), finished.get("elapsed_time", 0.0), Counter(answers))
