#!/bin/sh
# Starts the dispatcher. A Ray driver needs a Ray node beside it, so this container joins the cluster with no CPU
# of its own (nothing is ever scheduled here) and then becomes the dispatcher.
set -eu
ray start --address="$HEDDLE_RAY_ADDRESS" --num-cpus=0 --object-store-memory=209715200 --disable-usage-stats
exec python -m heddle_workers
