"""No part of a deployment: sample events, a Kafka for the laptop, the demo's self-check."""
