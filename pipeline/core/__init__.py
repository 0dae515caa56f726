"""The event contract, pure: bytes in, values out. No clock, log, environment or client."""
