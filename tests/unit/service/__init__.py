"""Running workers as a service: systemd, Kubernetes, leaving the group."""
