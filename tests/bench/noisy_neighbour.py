"""What a flood of one tenant costs another: A queues many fits, then B one; B's wait beside that on an idle system.

    python -m tests.bench.noisy_neighbour [--flood 1000] [--times 5] [--card brief] [--small]

Bar: B waits at most one chunk longer than alone. A chunk is what runs at once when B comes: the table's `chunk` is how
long the fits took that were under way then, from their claim to the end of the last of them.
"""

import argparse
import time
from datetime import datetime, timedelta

import numpy as np

from tests.bench.stage import draw, post_fit, post_many, stage

ROWS = 300
Span = tuple[str, datetime, datetime, datetime]


def under_way(flood: list[Span], moment: datetime) -> timedelta:
    """Return how long the fits took together that had begun, and were not over, at the moment."""
    some = [(begun, ended) for _, _, begun, ended in flood if begun <= moment < ended]
    if not some:
        return timedelta(0)
    return max(ended for _, ended in some) - min(begun for begun, _ in some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flood", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=5, help="B's fits, each once the one before is over")
    parser.add_argument("--card", choices=("brief", "full"), default="brief")
    parser.add_argument("--small", action="store_true", help="a flood of 80, B twice")
    asked = parser.parse_args()
    size, times = (80, 2) if asked.small else (asked.flood, asked.times)
    pictures, random = draw(1_000), np.random.default_rng(0)
    full = asked.card == "full"

    def parts(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
        return [np.sort(random.permutation(len(pictures.images))[:ROWS]) for _ in range(count)]

    with stage() as running:
        loud, quiet = running.tenant("loud"), running.tenant("quiet")
        many = running.ready_sets(loud, pictures, parts(min(size, 50)), encoded=True, zipped=full)
        own = running.ready_sets(quiet, pictures, parts(2 * times + 1), encoded=True, zipped=full)
        with running.client(loud) as a, running.client(quiet) as b:
            running.wait([post_fit(b, own[0], "warm", asked.card)], 120)
            idle = []
            for place in range(times):
                job_id = post_fit(b, own[1 + place], f"idle-{place}", asked.card)
                idle += running.wait([job_id], 120)
            wanted = [(many[place % len(many)], f"flood-{place}") for place in range(size)]
            flood = post_many(a, wanted, asked.card)
            time.sleep(1.0)
            busy = []
            for place in range(times):
                job_id = post_fit(b, own[1 + times + place], f"busy-{place}", asked.card)
                busy += running.wait([job_id], 600)
            running_flood = [
                (status, made, begun, ended or datetime.max.replace(tzinfo=made.tzinfo))
                for status, made, begun, ended in running.spans(flood)
                if begun is not None
            ]
            left = size - sum(ended.year < datetime.max.year for *_, ended in running_flood)
            if not asked.small:
                running.wait(flood, 3_600)
                running_flood = running.wait(flood, 1)
    print(f"a flood of {size} fits ({ROWS} rows, {asked.card} cards), {left} of them left when B's last was over")
    print(f"{'B':<6}{'alone s':>10}{'in the flood s':>16}{'longer s':>10}{'chunk s':>10}")
    alone = float(np.median([(ended - made).total_seconds() for _, made, _, ended in idle]))
    over = [span for span in running_flood if span[3].year < datetime.max.year]
    for place, (_, made, _, ended) in enumerate(busy):
        took = (ended - made).total_seconds()
        chunk = under_way(over, made).total_seconds()
        print(f"{place:<6}{alone:>10.2f}{took:>16.2f}{took - alone:>10.2f}{chunk:>10.2f}")


if __name__ == "__main__":
    main()
