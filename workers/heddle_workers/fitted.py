"""What a fit or a refit hands to the dispatcher: everything a version consists of, as bytes and documents.

Apart from `fit`, so that the dispatcher can hold it without the hundred megabytes of libraries that make it.
"""

from dataclasses import dataclass
from typing import Any, Final

from heddle_platform.records import GateVerdict

ADAPTER_FILE: Final = "adapter.npz"
GRAPH_FILE: Final = "adapter.onnx"
CORE_FILE: Final = "editor.core"
STATISTICS_FILE: Final = "statistics.npz"
CARD_FILE: Final = "card.json"
CARD_PAGE: Final = "card.html"
PLAYBOOK_PAGE: Final = "playbook.html"


@dataclass(frozen=True)
class Fitted:
    """What a fit found.

    Attributes:
        digest: SHA-256 of `adapter.npz`, the version's address.
        verdict: the gate's.
        gate, card: their documents; the card holds the gate's.
        files: file name -> bytes: the adapter, its graph, its editor without the base, its statistics, the card as JSON
            and as a page, the playbook. They depend on the images, the labels, the factor set and the base alone.
        seconds: stage -> seconds it took, for the log.
    """

    digest: str
    verdict: GateVerdict
    gate: dict[str, Any]
    card: dict[str, Any]
    files: dict[str, bytes]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Refitted:
    """A version without the rows, or why there can be none.

    Attributes:
        fitted: the version.
        certificate: the unsigned document of its unlearning.
        refused: {code, message} where the rows that stay cannot be fitted; the others are None then.
    """

    fitted: Fitted | None
    certificate: dict[str, Any] | None
    refused: dict[str, str] | None = None
