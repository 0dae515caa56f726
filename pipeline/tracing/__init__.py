"""Traces of the worker's batches, by OpenTelemetry. The only package that imports it.

It may import `core`, `errors`, `ports` and `settings`. It wraps the worker's broker and sessions,
so the loop does not know of it, and without `tracing.endpoint` nothing of it is imported.

- trace_context: W3C trace contexts in record headers
- batch_span: the span of one transaction
- session: a broker and its sessions whose transactions have spans
- export: what spans are sent with
- losses: what is reported when that fails
"""
