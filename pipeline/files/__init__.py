"""Files of events: reads lines in bounded memory, transforms and explains them, writes safely.

May import `core`, `errors`, `ports` and `settings`.
"""
