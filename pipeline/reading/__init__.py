"""For consumers of the enriched topic: one Kafka message in, one typed event out.

May import `registry`, `avro`, `ports`, `errors` and `core`. It needs no settings of the worker.
"""
