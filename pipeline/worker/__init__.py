"""The service: the loop, what protects it, and several workers under one supervisor.

It may import `core`, `errors`, `ports` and `identity`, but not the Kafka client:

- the loop: loop, bisection, circuit_breaker (they know the world only through `ports`)
- several processes: supervisor, processes, restart_policy, signals, memory_tuning
- records that crash their process: poison_pill, shared_state
- what people see: observe
- a broker for tests and for trying things out: memory_broker
"""
