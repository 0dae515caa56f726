"""What a running program tells Prometheus, Kubernetes and people: metrics, health and status.

`catalogue` names every metric once, with its type and meaning. A worker counts into a
`WorkerSnapshot`, a plain value that can be encoded: one process serves the snapshots of several.
It may import core, errors, ports and identity; prometheus_client is imported only here.
"""
