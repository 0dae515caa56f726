"""The event contract, pure: bytes in, values out. No clock, log, environment, client or global state."""
