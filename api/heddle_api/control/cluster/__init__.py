"""The cluster, for operators: nodes, queue, throughput, dispatchers; as JSON and as metrics."""
