"""Real images: what lights each unit up, and why."""
